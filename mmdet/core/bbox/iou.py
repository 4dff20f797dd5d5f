"""Overlaps of boxes (x1, y1, x2, y2).

Sizes:  N images,  G ground-truth boxes an image (padded),  A default boxes.
"""
from __future__ import annotations

import torch
from torch import Tensor

from mmdet.core.anchor.anchor_generator import Anchors

EPS = 1e-6  # least union, as in MMDetection: empty boxes have IoU 0, not NaN


def box_area(bboxes: Tensor) -> Tensor:
    """(..., 4) -> (...) in square pixels."""
    x1, y1, x2, y2 = bboxes.unbind(-1)
    return (x2 - x1) * (y2 - y1)


def bbox_overlaps(bboxes1: Tensor, bboxes2: Tensor, mode: str = 'iou') -> Tensor:
    """Overlap of every box of one list with every box of another.

    Args:
        bboxes1: (..., M, 4).
        bboxes2: (..., N, 4).
        mode: 'iou' (intersection over union) or 'iof' (over the area of bboxes1).

    Returns:
        (..., M, N) in 0..1.
    """
    low = torch.maximum(bboxes1[..., :, None, :2], bboxes2[..., None, :, :2])
    high = torch.minimum(bboxes1[..., :, None, 2:], bboxes2[..., None, :, 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    overlap = width * height
    area1 = box_area(bboxes1)[..., :, None]
    base = area1 + box_area(bboxes2)[..., None, :] - overlap if mode == 'iou' else area1.expand_as(overlap)
    return overlap / base.clamp(min=EPS)


def anchor_overlaps(gt_bboxes: Tensor, anchors: Anchors) -> Tensor:
    """IoU of padded ground truths with all default boxes: `bbox_overlaps(gt, anchors.boxes)` bit for bit, in less memory.

    Widths of overlaps are computed for the distinct extents and gathered, which leaves two (N, G, A) tensors alive at a
    time instead of four, and half the arithmetic.

    Args:
        gt_bboxes: (N, G, 4).
        anchors: A default boxes.

    Returns:
        (N, G, A).
    """
    low, high = gt_bboxes.reshape(*gt_bboxes.shape[:-1], 2, 2).unbind(-2)  # (N, G, 2) each
    sides = torch.minimum(high[..., None], anchors.ends).sub_(torch.maximum(low[..., None], anchors.starts)).clamp_(min=0)
    sides = sides.flatten(2)  # (N, G, 2 X): widths, then heights, of the overlap with each extent
    overlap = sides.index_select(2, anchors.x_index).mul_(sides.index_select(2, anchors.y_index))
    union = (high - low).prod(dim=-1, keepdim=True) + anchors.areas
    return overlap.div_(union.sub_(overlap).clamp_(min=EPS))
