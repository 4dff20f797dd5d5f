"""SSD's matching and loss the plain way: picture by picture, ground truth by ground truth, by index.

Written from what MMDetection 2.x does: pictures in a Python loop, `nonzero` for positives and negatives, a loop over ground
truths with a comparison on the host for each, `topk` for the hard negatives.
"""
from __future__ import annotations

from typing import Any, Dict, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.bbox.iou import bbox_overlaps


def assign(boxes: Tensor, gt_bboxes: Tensor, pos_iou_thr: float = 0.5, neg_iou_thr: float = 0.5,
           min_pos_iou: float = 0.0) -> Tensor:
    """(A,) int64: -1 takes no part, 0 background, k ground truth k - 1."""
    assigned = boxes.new_full((len(boxes),), -1, dtype=torch.int64)
    if not len(gt_bboxes):
        return assigned.fill_(0)
    overlaps = bbox_overlaps(gt_bboxes, boxes)  # (g, A)
    best_of_box, which = overlaps.max(dim=0)
    best_of_truth, box_of_truth = overlaps.max(dim=1)
    assigned[(best_of_box >= 0) & (best_of_box < neg_iou_thr)] = 0
    positive = best_of_box >= pos_iou_thr
    assigned[positive] = which[positive] + 1
    for number in range(len(gt_bboxes)):
        # A ground truth without any overlap claims no box, as in the form that MMDetection has for the NPU.
        if best_of_truth[number] >= min_pos_iou and best_of_truth[number] > 0:
            assigned[box_of_truth[number]] = number + 1
    return assigned


def targets(boxes: Tensor, gt_bboxes: Tensor, gt_labels: Tensor, num_classes: int, coder: Any) -> Tuple[Tensor, ...]:
    """Of one picture: labels (A,), offsets (A, 4), indices of positives and of negatives."""
    assigned = assign(boxes, gt_bboxes)
    positive = torch.nonzero(assigned > 0, as_tuple=False).squeeze(-1).unique()
    negative = torch.nonzero(assigned == 0, as_tuple=False).squeeze(-1).unique()
    labels = gt_labels.new_full((len(boxes),), num_classes)
    deltas = torch.zeros_like(boxes)
    if len(positive):
        matched = assigned[positive] - 1
        labels[positive] = gt_labels[matched]
        deltas[positive] = coder.encode(boxes[positive], gt_bboxes[matched])
    return labels, deltas, positive, negative


def per_image_loss(scores: Tensor, deltas: Tensor, boxes: Tensor, gt_bboxes: List[Tensor], gt_labels: List[Tensor], coder: Any,
                   neg_pos_ratio: float = 3) -> Dict[str, Tensor]:
    """loss_cls, loss_bbox: (N,) each.

    Args:
        scores: (N, A, C+1).
        deltas: (N, A, 4).
        boxes: (A, 4) default boxes.
        gt_bboxes, gt_labels: of each picture, (g, 4) and (g,), without padding.
        coder: encodes offsets.
        neg_pos_ratio: hard negatives for each positive.
    """
    found = [targets(boxes, *truth, scores.size(-1) - 1, coder) for truth in zip(gt_bboxes, gt_labels)]
    normalizer = sum(max(positive.numel(), 1) for _, _, positive, _ in found)
    losses: Dict[str, List[Tensor]] = {'loss_cls': [], 'loss_bbox': []}
    for score, delta, (labels, wanted, positive, negative) in zip(scores.float(), deltas.float(), found):
        each = F.cross_entropy(score, labels, reduction='none')
        count = min(int(neg_pos_ratio * positive.numel()), negative.numel())
        hardest, _ = each[negative].topk(count)
        weight = torch.zeros_like(wanted)
        weight[positive] = 1.0
        losses['loss_cls'].append((each[positive].sum() + hardest.sum()) / normalizer)
        losses['loss_bbox'].append((F.smooth_l1_loss(delta, wanted, reduction='none') * weight).sum() / normalizer)
    return {name: torch.stack(values) for name, values in losses.items()}
