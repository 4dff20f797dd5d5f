"""Which ground truth each default box has to find, for a whole batch at once.

Source: Liu et al., SSD, ECCV 2016, sec. 2.2 "Matching strategy"; settings and tie rules as in MMDetection.

Sizes:  N images,  G ground-truth boxes an image (padded),  A default boxes,  C classes; label C is background.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou import anchor_overlaps


class Assignment(NamedTuple):
    """Fields:
        positive: (N, A) bool, boxes with an object.
        negative: (N, A) bool, boxes of background; what is neither is ignored.
        matched: (N, A) int64 index of the best ground truth, meaningful where positive.
    """
    positive: Tensor
    negative: Tensor
    matched: Tensor


@BBOX_ASSIGNERS.register_module()
class MaxIoUAssigner:
    """Matches by overlap: every box to its best ground truth, and every ground truth to its best box.

    A ground truth without any overlap stays unmatched (as in MMDetection's static form of this rule).

    Args:
        pos_iou_thr: a box is positive from this overlap on.
        neg_iou_thr: and background below this one; between the two it is ignored.
        min_pos_iou: a ground truth claims its best box from this overlap on; of two that claim one box the later wins.
        gt_max_assign_all: a ground truth claims all boxes that are equally good, not the first of them.
        match_low_quality: whether ground truths claim boxes at all.
        ignore_iof_thr: boxes this far inside ignored regions are ignored; -1, as in SSD, does not.
    """

    def __init__(self, pos_iou_thr: float, neg_iou_thr: float, min_pos_iou: float = 0.0, gt_max_assign_all: bool = True,
                 match_low_quality: bool = True, ignore_iof_thr: float = -1):
        if not 0 <= neg_iou_thr <= pos_iou_thr <= 1:
            raise ConfigError(f'expected 0 <= neg_iou_thr <= pos_iou_thr <= 1, not {neg_iou_thr} and {pos_iou_thr}')
        if ignore_iof_thr > 0:
            raise ConfigError('ignore_iof_thr: ignored regions take no part in SSD training; set it to -1')
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.min_pos_iou = min_pos_iou
        self.gt_max_assign_all = gt_max_assign_all
        self.match_low_quality = match_low_quality

    @torch.no_grad()
    def assign(self, anchors: Anchors, gt_bboxes: Tensor, gt_labels: Tensor) -> Assignment:
        """Match a batch.

        Args:
            anchors: A default boxes.
            gt_bboxes: (N, G, 4), G >= 1; what padding holds does not matter, as long as it is finite.
            gt_labels: (N, G) int64, -1 at padding.
        """
        overlaps = anchor_overlaps(gt_bboxes, anchors).masked_fill_((gt_labels < 0)[..., None], -1.0)  # (N, G, A)
        if self.match_low_quality:
            self._claim(overlaps)
        quality, matched = overlaps.max(dim=1)
        return Assignment(quality >= self.pos_iou_thr, quality < self.neg_iou_thr, matched)

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
