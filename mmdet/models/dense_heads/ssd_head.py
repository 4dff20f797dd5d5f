"""SSD's head: a 3x3 convolution for scores and one for offsets on every level; its losses and its detections.

Source: Liu et al., SSD, ECCV 2016; keys as in MMDetection 2.14 and later.

Sizes:  N images,  G ground-truth boxes and K ignored regions an image (padded),  A default boxes,  C classes; label C is
        background.
"""
from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from mmcv_need.dist_utils import mean_of_ranks
from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors, SSDAnchorGenerator
from mmdet.core.anchor.builder import ANCHOR_GENERATORS
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS, BBOX_CODERS
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.post_processing.detections import Detections, SSDTestCfg, detect
from mmdet.models.activations import ActFactory
from mmdet.models.builder import ACTIVATION_LAYERS, CONV_LAYERS, HEADS, INITIALIZERS, LOSSES, NORM_LAYERS
from mmdet.models.conv_module import ConvFactory
from mmdet.models.dense_heads.ssd_layers import prediction_layers
from mmdet.models.first_weights import Initializer, initialize
from mmdet.models.layers import xavier_uniform
from mmdet.models.losses.multibox_loss import multibox_loss
from mmdet.models.norms import NormFactory


def global_normalizer(positives: Tensor) -> Tensor:
    """() the positives of a device's batch, in the mean over all devices, from those (N,) of its images."""
    return mean_of_ranks(positives.sum())


NORMALIZERS = {'device': torch.sum, 'global': global_normalizer}


class SSDTrainCfg:
    """`model.train_cfg`: how default boxes learn from ground truth.

    Args:
        assigner: matches boxes to ground truth.
        smoothl1_beta: where smooth L1 turns into a line; 0 is plain L1.
        neg_pos_ratio: hard negatives for each positive.
        allowed_border: -1: boxes may reach outside the picture; nothing else is SSD.
        pos_weight: -1 or 1 (weight 1); accepted for MMDetection's configs.
        debug: no effect; accepted for MMDetection's configs.
    """
    config_parts = {'assigner': BBOX_ASSIGNERS}

    def __init__(self, assigner: MaxIoUAssigner, smoothl1_beta: float = 1.0, neg_pos_ratio: float = 3,
                 allowed_border: int = -1, pos_weight: float = -1, debug: bool = False):
        if allowed_border >= 0:
            raise ConfigError(f'allowed_border {allowed_border}: SSD keeps boxes that reach outside the picture; set it to -1')
        if pos_weight > 0 and pos_weight != 1:
            raise ConfigError(f'pos_weight {pos_weight}: positives and negatives weigh the same in SSD; set it to -1')
        if smoothl1_beta < 0 or neg_pos_ratio < 0:
            raise ConfigError(f'expected smoothl1_beta >= 0 and neg_pos_ratio >= 0, not {smoothl1_beta} and {neg_pos_ratio}')
        self.assigner = assigner
        self.smoothl1_beta = smoothl1_beta
        self.neg_pos_ratio = neg_pos_ratio


PARTS = dict(anchor_generator=ANCHOR_GENERATORS, bbox_coder=BBOX_CODERS, conv_cfg=CONV_LAYERS, norm_cfg=NORM_LAYERS,
             act_cfg=ACTIVATION_LAYERS, init_cfg=INITIALIZERS, loss_bbox=LOSSES)


@HEADS.register_module('AscendSSDHead', parts=PARTS)  # whose shapes are constant; so are these
@HEADS.register_module(parts=PARTS)
class SSDHead(nn.Module):
    """Scores and offsets of all default boxes.

    Args:
        in_channels: channels of each level.
        anchor_generator: default boxes, as many levels.
        bbox_coder: meaning of the offsets.
        num_classes: C, without background.
        loss_normalizer: 'device' divides each device's losses by its own positives, as MMDetection does. 'global' divides by
            their mean over all devices, so that several devices compute what one would of the whole batch.
        stacked_convs: convolutions of `feat_channels` channels before the last one, on every level.
        feat_channels: of those.
        use_depthwise: whether convolutions are depthwise separable, as in SSDLite.
        conv_cfg, norm_cfg, act_cfg: of all convolutions but the last.
        init_cfg: first weights; None is Xavier-uniform.
        unnamed_classes: further columns of the scores, between the classes and background, that nothing is labelled with; they
            count as background. Networks of torchvision's have 10, for the ids that COCO left out.
        reg_decoded_bbox: whether boxes in pixels are compared, not offsets: for losses of overlaps.
        loss_bbox: how they are compared; None is smooth L1 of `train_cfg.smoothl1_beta`, as in MMDetection, whose SSDHead has
            no such argument. Its reduction stays 'mean', which is by the positives as for all losses here.
    """

    def __init__(self, in_channels: Sequence[int], anchor_generator: SSDAnchorGenerator,
                 bbox_coder: Optional[DeltaXYWHBBoxCoder] = None, num_classes: int = 80, loss_normalizer: str = 'device',
                 stacked_convs: int = 0, feat_channels: int = 256, use_depthwise: bool = False,
                 conv_cfg: Optional[ConvFactory] = None, norm_cfg: Optional[NormFactory] = None,
                 act_cfg: Optional[ActFactory] = None, init_cfg: Optional[Initializer] = None,
                 unnamed_classes: int = 0, reg_decoded_bbox: bool = False, loss_bbox: Optional[nn.Module] = None):
        super().__init__()
        if len(in_channels) != anchor_generator.num_levels:
            raise ConfigError(f'in_channels has {len(in_channels)} levels, anchor_generator {anchor_generator.num_levels}; '
                              f'expected as many')
        if num_classes < 1:
            raise ConfigError(f'num_classes must be at least 1, not {num_classes}')
        if stacked_convs < 0 or feat_channels < 1:
            raise ConfigError(f'expected stacked_convs >= 0 and feat_channels >= 1, not {stacked_convs} and {feat_channels}')
        if unnamed_classes < 0:
            raise ConfigError(f'unnamed_classes must be at least 0, not {unnamed_classes}')
        if loss_normalizer not in NORMALIZERS:
            raise ConfigError(f"loss_normalizer: expected {' or '.join(map(repr, NORMALIZERS))}, not {loss_normalizer!r}")
        if loss_bbox is not None:
            _check_box_loss(loss_bbox, reg_decoded_bbox)
        self.num_classes = num_classes
        self.columns = num_classes + unnamed_classes + 1
        self.reg_decoded_bbox, self.loss_bbox = reg_decoded_bbox, loss_bbox
        self.normalizer = NORMALIZERS[loss_normalizer]
        self.anchor_generator = anchor_generator
        self.bbox_coder = bbox_coder or DeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2))
        per_cell = list(zip(in_channels, anchor_generator.num_base_anchors))
        settings = dict(stacked_convs=stacked_convs, feat_channels=feat_channels, use_depthwise=use_depthwise,
                        conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.cls_convs, self.reg_convs = (
            nn.ModuleList(prediction_layers(channels, k * size, **settings) for channels, k in per_cell)
            for size in (self.columns, 4))
        initialize(self, init_cfg or xavier_uniform)

    def forward(self, levels: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        """Features (N, c, h, w) of each level -> scores (N, A, C+1) and offsets (N, A, 4), levels one after the other."""
        scores = torch.cat([_flatten(conv(level), self.columns) for conv, level in zip(self.cls_convs, levels)], dim=1)
        deltas = torch.cat([_flatten(conv(level), 4) for conv, level in zip(self.reg_convs, levels)], dim=1)
        return (scores if self.columns == self.num_classes + 1 else with_one_background(scores, self.num_classes)), deltas

    def anchors(self, sizes: Sequence[Tuple[int, int]], device: torch.device) -> Anchors:
        """Default boxes of levels whose maps are so (high, wide)."""
        return self.anchor_generator.grid_anchors(sizes, device)

    def loss(self, scores: Tensor, deltas: Tensor, anchors: Anchors, gt_bboxes: Tensor, gt_labels: Tensor, cfg: SSDTrainCfg,
             gt_bboxes_ignore: Optional[Tensor] = None, valid: Optional[Tensor] = None) -> Dict[str, Tensor]:
        """Losses of each image.

        Args:
            scores: (N, A, C+1).
            deltas: (N, A, 4).
            anchors: A default boxes.
            gt_bboxes: (N, G, 4) in pixels of the input.
            gt_labels: (N, G) int64, -1 at padding.
            cfg: matching and mining.
            gt_bboxes_ignore: (N, K, 4) ignored regions, empty boxes at padding, for an assigner that asks for them.
            valid: (N, A) bool, boxes that take part; None for all.

        Returns:
            loss_cls, loss_bbox: (N,) each.
        """
        found = cfg.assigner.assign(anchors, gt_bboxes, gt_labels, gt_bboxes_ignore, valid)
        unmatched = ~found.positive
        matched_bboxes = gt_bboxes.gather(1, found.matched[..., None].expand(-1, -1, 4))
        if self.reg_decoded_bbox:
            predicted = self.bbox_coder.decode(anchors.boxes, deltas.float())
            targets = torch.where(unmatched[..., None], anchors.boxes, matched_bboxes)
        else:
            predicted = deltas
            targets = self.bbox_coder.encode_from(anchors.centres, anchors.sizes, matched_bboxes)
            targets = targets.masked_fill(unmatched[..., None], 0.0)
        labels = gt_labels.gather(1, found.matched).masked_fill(unmatched, self.num_classes)
        box_loss = None if self.loss_bbox is None else partial(self.loss_bbox, reduction_override='none')
        return multibox_loss(scores, predicted, labels, targets, found.positive, found.negative,
                             neg_pos_ratio=cfg.neg_pos_ratio, beta=cfg.smoothl1_beta, normalizer=self.normalizer,
                             box_loss=box_loss)

    def get_bboxes(self, scores: Tensor, deltas: Tensor, anchors: Anchors, metas: Sequence[Mapping[str, Any]],
                   cfg: SSDTestCfg, rescale: bool = False) -> List[Detections]:
        return detect(scores, deltas, anchors, self.bbox_coder, metas, cfg, rescale)


def with_one_background(scores: Tensor, num_classes: int) -> Tensor:
    """(N, A, C+1) logits of (N, A, C+1+u): the last 1+u columns are one, of as much probability as they had together."""
    background = scores[..., num_classes:].float().logsumexp(dim=-1, keepdim=True)
    return torch.cat([scores[..., :num_classes], background.to(scores.dtype)], dim=-1)


def _check_box_loss(loss_bbox: nn.Module, reg_decoded_bbox: bool) -> None:
    if getattr(loss_bbox, 'reduction', 'mean') != 'mean':
        raise ConfigError(f"loss_bbox: reduction {loss_bbox.reduction!r}: the head divides by the positives; leave it 'mean'")
    if getattr(loss_bbox, 'of_boxes', False) and not reg_decoded_bbox:
        raise ConfigError('loss_bbox: overlaps are of boxes, and the head compares offsets; set reg_decoded_bbox=True')


def _flatten(maps: Tensor, size: int) -> Tensor:
    """(N, K*size, H, W) -> (N, H*W*K, size), rows first."""
    return maps.permute(0, 2, 3, 1).reshape(maps.size(0), -1, size)
