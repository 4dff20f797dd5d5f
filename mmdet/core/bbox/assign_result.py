"""Matching as components in MMDetection's manner ask for it: one picture, without padding, and what they go on with.

Sizes:  A boxes,  K ground truths,  P positive ones and Q negative ones of the boxes.
"""
from __future__ import annotations

from typing import Any, Callable, Optional

import torch
from torch import Tensor

from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.iou import bbox_overlaps


class AssignResult:
    """Which ground truth each box has.

    Attributes:
        num_gts: K.
        gt_inds: (A,) int64: 0 background, -1 takes no part, else 1 + index of a ground truth.
        max_overlaps: (A,) largest overlap with any.
        labels: (A,) int64 of the ground truth, -1 without one; None if labels were not given.
    """

    def __init__(self, num_gts: int, gt_inds: Tensor, max_overlaps: Tensor, labels: Optional[Tensor] = None):
        self.num_gts, self.gt_inds, self.max_overlaps, self.labels = num_gts, gt_inds, max_overlaps, labels


def assign_picture(assign: Callable[..., Any], bboxes: Tensor, gt_bboxes: Tensor, *others: Optional[Tensor]) -> AssignResult:
    """Match the boxes of one picture.

    Args:
        assign: of an assigner, which matches batches.
        bboxes: (A, 4).
        gt_bboxes: (K, 4).
        others: labels (K,) and ignored regions (k, 4), in either order, or None.
    """
    count = len(gt_bboxes)
    gt_labels = next((other for other in others if other is not None and other.dim() == 1), None)
    regions = next((other for other in others if other is not None and other.dim() == 2), None)
    labels = gt_bboxes.new_zeros(count, dtype=torch.long) if gt_labels is None else gt_labels.long()
    if not count:
        gt_bboxes, labels = gt_bboxes.new_zeros(1, 4), labels.new_full((1,), -1)
    if regions is not None and not len(regions):
        regions = regions.new_zeros(1, 4)
    found = assign(Anchors.from_boxes(bboxes, [len(bboxes)]), gt_bboxes[None], labels[None],
                   gt_bboxes.new_zeros(1, 1, 4) if regions is None else regions[None])
    positive, negative, matched = found.positive[0], found.negative[0], found.matched[0]
    gt_inds = torch.full_like(matched, -1)
    gt_inds[negative], gt_inds[positive] = 0, matched[positive] + 1
    overlaps = bbox_overlaps(gt_bboxes, bboxes).amax(dim=0) if count else bboxes.new_zeros(len(bboxes))
    own = None if gt_labels is None else labels[matched].masked_fill(~positive, -1)
    return AssignResult(count, gt_inds, overlaps, own)


class SamplingResult:
    """Boxes that take part.

    Attributes:
        pos_inds, neg_inds: (P,) and (Q,) their indices.
        pos_bboxes, neg_bboxes: (P, 4) and (Q, 4).
        pos_assigned_gt_inds: (P,) index of the ground truth of each.
        pos_gt_bboxes: (P, 4) those ground truths.
        pos_gt_labels: (P,) their labels, or None.
    """

    def __init__(self, pos_inds: Tensor, neg_inds: Tensor, bboxes: Tensor, gt_bboxes: Tensor, assigned: AssignResult):
        self.pos_inds, self.neg_inds = pos_inds, neg_inds
        self.pos_bboxes, self.neg_bboxes = bboxes[pos_inds], bboxes[neg_inds]
        self.num_gts = len(gt_bboxes)
        self.pos_assigned_gt_inds = assigned.gt_inds[pos_inds] - 1
        self.pos_gt_bboxes = gt_bboxes.reshape(-1, 4)[self.pos_assigned_gt_inds]
        self.pos_gt_labels = None if assigned.labels is None else assigned.labels[pos_inds]


@BBOX_SAMPLERS.register_module()
class PseudoSampler:
    """Takes all boxes that are positive or negative."""

    def __init__(self, **context: Any):
        pass

    def sample(self, assign_result: AssignResult, bboxes: Tensor, gt_bboxes: Tensor, **others: Any) -> SamplingResult:
        """Args: bboxes (A, 4) and gt_bboxes (K, 4), those that were matched."""
        pos_inds, neg_inds = (mask.nonzero().flatten() for mask in (assign_result.gt_inds > 0, assign_result.gt_inds == 0))
        return SamplingResult(pos_inds, neg_inds, bboxes, gt_bboxes, assign_result)
