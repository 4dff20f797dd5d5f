"""How far boxes are from those that they have to be, by their overlap: formulas for pairs of boxes.

All take predicted and wanted boxes (..., 4) x1, y1, x2, y2, compute in float32, and give (...) losses, 0 for equal boxes, whose
gradients are finite for empty, inverted and equal boxes too. Constants, and where epsilons stand, are MMDetection's.

Sources: IoU: Yu et al., "UnitBox", ACM MM 2016. GIoU: Rezatofighi et al., CVPR 2019. DIoU, CIoU: Zheng et al., AAAI 2020.
Bounded IoU: Tychsen-Smith & Petersson, CVPR 2018.
"""
from __future__ import annotations

import math
from typing import Tuple

import torch
from torch import Tensor

from mmdet.core.bbox.coder import centre_size
from mmdet.core.bbox.iou import box_area, paired_overlaps

ASPECT = 4 / math.pi ** 2  # makes the term of CIoU for the aspect at most 1


def iou_loss(pred: Tensor, target: Tensor, mode: str = 'log', eps: float = 1e-6) -> Tensor:
    """-log IoU, 1 - IoU ('linear') or 1 - IoU^2 ('square'); boxes apart learn nothing, as their IoU is `eps` at least."""
    iou = paired_overlaps(pred.float(), target.float(), eps=eps).clamp(min=eps)
    return {'log': lambda: -iou.log(), 'linear': lambda: 1 - iou, 'square': lambda: 1 - iou ** 2}[mode]()


def giou_loss(pred: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    """1 - GIoU, in 0..2."""
    return 1 - paired_overlaps(pred.float(), target.float(), 'giou', eps)


def diou_loss(pred: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    """1 - IoU + the squared distance of the centres as a share of the squared diagonal of the box around both."""
    iou, distance = _iou_and_distance(pred.float(), target.float(), eps)
    return 1 - (iou - distance)


def ciou_loss(pred: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    """DIoU's, and a term for the aspect, from an overlap of a half on; in 0..2."""
    pred, target = pred.float(), target.float()
    iou, distance = _iou_and_distance(pred, target, eps)
    v = ASPECT * (_aspect(target, eps) - _aspect(pred, eps)).pow(2)
    with torch.no_grad():
        alpha = (iou > 0.5) * v / (1 - iou + v).clamp(min=eps)  # of equal boxes 0 / 0 without the clamp
    return 1 - (iou - (distance + alpha * v)).clamp(-1, 1)


def bounded_iou_loss(pred: Tensor, target: Tensor, beta: float = 0.2, eps: float = 1e-3) -> Tensor:
    """For x, y, width and height each (..., 4), how far IoU can be from 1 by that number alone, smooth below `beta`."""
    (centre, size), (wanted, wanted_size) = centre_size(pred.float()), centre_size(target.float())
    off = 2 * (wanted - centre).abs()
    moved = 1 - ((wanted_size - off) / (wanted_size + off + eps)).clamp(min=0)
    scaled = 1 - torch.minimum(wanted_size / (size + eps), size / (wanted_size + eps))
    loss = torch.cat([moved, scaled], dim=-1)
    return torch.where(loss < beta, 0.5 * loss * loss / beta, loss - 0.5 * beta)


def _iou_and_distance(pred: Tensor, target: Tensor, eps: float) -> Tuple[Tensor, Tensor]:
    low, high = torch.maximum(pred[..., :2], target[..., :2]), torch.minimum(pred[..., 2:], target[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    overlap = width * height
    iou = overlap / (box_area(pred) + box_area(target) - overlap + eps).clamp(min=eps)  # an inverted box has less than none
    low, high = torch.minimum(pred[..., :2], target[..., :2]), torch.maximum(pred[..., 2:], target[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    x, y = (target[..., :2] + target[..., 2:] - pred[..., :2] - pred[..., 2:]).unbind(-1)
    return iou, (x * x / 4 + y * y / 4) / (width * width + height * height + eps)


def _aspect(bboxes: Tensor, eps: float) -> Tensor:
    """(...) angle whose tangent is width by height."""
    x1, y1, x2, y2 = bboxes.unbind(-1)
    return torch.atan((x2 - x1) / (y2 - y1 + eps))
