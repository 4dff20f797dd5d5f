"""Which ground truth each default box has to find, for a whole batch at once.

Source: Liu et al., SSD, ECCV 2016, sec. 2.2 "Matching strategy"; settings and tie rules as in MMDetection.

Sizes:  N images,  G ground-truth boxes and K ignored regions an image (padded),  A default boxes.
"""
from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Union

import torch
from torch import Tensor

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.assign_result import AssignResult, assign_picture
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou import BboxOverlaps2D, anchor_overlaps, bbox_overlaps


class Assignment(NamedTuple):
    """Fields:
        positive: (N, A) bool, boxes with an object.
        negative: (N, A) bool, boxes of background; what is neither takes no part.
        matched: (N, A) int64 index of the best ground truth, meaningful where positive.
    """
    positive: Tensor
    negative: Tensor
    matched: Tensor


@BBOX_ASSIGNERS.register_module('AscendMaxIoUAssigner', parts=dict(iou_calculator=BboxOverlaps2D))  # of constant shapes, too
@BBOX_ASSIGNERS.register_module(parts=dict(iou_calculator=BboxOverlaps2D))
class MaxIoUAssigner:
    """Matches by overlap: every box to its best ground truth, and every ground truth to its best box.

    A ground truth without any overlap stays unmatched (as in MMDetection's static form of this rule).

    Args:
        pos_iou_thr: a box is positive from this overlap on.
        neg_iou_thr: and background below this one; between the two it is ignored. Of two numbers, boxes below the first are
            ignored as well.
        min_pos_iou: a ground truth claims its best box from this overlap on; of two that claim one box the later wins.
        gt_max_assign_all: a ground truth claims all boxes that are equally good, not the first of them.
        match_low_quality: whether ground truths claim boxes at all.
        ignore_iof_thr: boxes that overlap an ignored region by more than this share of their area are ignored, whatever else
            they overlap; -1, as in SSD, leaves ignored regions out of it.
        ignore_wrt_candidates: False takes the share of the region's area instead.
        gpu_assign_thr: no effect, since matching takes little memory; accepted for MMDetection's configs.
        iou_calculator: likewise; IoU is the one measure there is.
    """

    def __init__(self, pos_iou_thr: float, neg_iou_thr: Union[float, Sequence[float]], min_pos_iou: float = 0.0,
                 gt_max_assign_all: bool = True, match_low_quality: bool = True, ignore_iof_thr: float = -1,
                 ignore_wrt_candidates: bool = True, gpu_assign_thr: float = -1,
                 iou_calculator: Optional[BboxOverlaps2D] = None):
        lowest, below = neg_iou_thr if isinstance(neg_iou_thr, (list, tuple)) else (0.0, neg_iou_thr)
        if not 0 <= lowest <= below <= pos_iou_thr <= 1:
            raise ConfigError(f'expected 0 <= neg_iou_thr <= pos_iou_thr <= 1, not {neg_iou_thr} and {pos_iou_thr}')
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_range = lowest, below
        self.min_pos_iou = min_pos_iou
        self.gt_max_assign_all = gt_max_assign_all
        self.match_low_quality = match_low_quality
        self.ignore_iof_thr = ignore_iof_thr
        self.ignore_wrt_candidates = ignore_wrt_candidates

    @torch.no_grad()
    def assign(self, anchors: Union[Anchors, Tensor], gt_bboxes: Tensor, gt_labels: Optional[Tensor] = None,
               gt_bboxes_ignore: Optional[Tensor] = None, valid: Optional[Tensor] = None) -> Union[Assignment, AssignResult]:
        """Match a batch; or the boxes (A, 4) of one picture, as MMDetection's heads ask for it (see `assign_picture`).

        Args:
            anchors: A default boxes.
            gt_bboxes: (N, G, 4), G >= 1; what padding holds does not matter, as long as it is finite.
            gt_labels: (N, G) int64, -1 at padding.
            gt_bboxes_ignore: (N, K, 4) ignored regions, empty boxes at padding; needed if `ignore_iof_thr` is above 0.
            valid: (N, A) bool, boxes that take part; None for all.

        Raises:
            ConfigError: no `gt_bboxes_ignore` where `ignore_iof_thr` asks for them.
        """
        if isinstance(anchors, Tensor):
            return assign_picture(self.assign, anchors, gt_bboxes, gt_labels, gt_bboxes_ignore)
        padding = gt_labels < 0
        overlaps = anchor_overlaps(gt_bboxes, anchors).masked_fill_(padding[..., None], -1.0)  # (N, G, A)
        left_out = self._left_out(anchors, gt_bboxes_ignore, valid)
        if left_out is not None:
            overlaps.masked_fill_(left_out[:, None], -1.0)
        if self.match_low_quality:
            self._claim(overlaps)
        quality, matched = overlaps.max(dim=1)
        lowest, below = self.neg_iou_range
        negative = quality < below
        if left_out is not None or lowest > 0:
            negative &= (quality >= lowest) | padding.all(dim=1, keepdim=True)  # without ground truth all is background
        return Assignment(quality >= self.pos_iou_thr, negative if valid is None else negative & valid, matched)

    def _left_out(self, anchors: Anchors, regions: Optional[Tensor], valid: Optional[Tensor]) -> Optional[Tensor]:
        """(N, A) bool, boxes that match nothing: inside ignored regions, or not valid. None if there is no such question."""
        outside = None if valid is None else ~valid
        if self.ignore_iof_thr <= 0:
            return outside
        if regions is None:
            raise ConfigError(f"train_cfg.assigner.ignore_iof_thr {self.ignore_iof_thr} needs ignored regions: name "
                              f"'gt_bboxes_ignore' in the `Collect` of the training pipeline, or set it to -1")
        if self.ignore_wrt_candidates:
            share = bbox_overlaps(anchors.boxes, regions, 'iof').amax(dim=2)
        else:
            share = bbox_overlaps(regions, anchors.boxes, 'iof').amax(dim=1)
        ignored = share > self.ignore_iof_thr
        return ignored if outside is None else ignored | outside

    def _claim(self, overlaps: Tensor) -> None:
        """Raise each ground truth's overlap with its best box above all others': to 2 + g, so that later ones win."""
        best, best_box = overlaps.max(dim=2, keepdim=True)  # (N, G, 1)
        rank = torch.arange(2.0, 2.0 + overlaps.size(1), device=overlaps.device, dtype=overlaps.dtype)[:, None]
        claims = best >= self.min_pos_iou if self.min_pos_iou > 0 else best > 0
        raised = torch.where(claims, rank, best)
        if self.gt_max_assign_all:
            overlaps.copy_(torch.where(overlaps == best, raised, overlaps))
        else:
            overlaps.scatter_(2, best_box, raised)
