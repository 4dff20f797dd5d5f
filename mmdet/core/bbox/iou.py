"""Overlaps of boxes (x1, y1, x2, y2).

Sizes:  N images,  G ground-truth boxes an image (padded),  A default boxes.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.builder import IOU_CALCULATORS

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
        mode: as of `paired_overlaps`.

    Returns:
        (..., M, N).
    """
    return paired_overlaps(bboxes1[..., :, None, :], bboxes2[..., None, :, :], mode)


@np.errstate(over='ignore', invalid='ignore')  # of boxes that are none, such as those of a network that has diverged
def array_overlaps(bboxes1: np.ndarray, bboxes2: np.ndarray, extent: float = 0) -> np.ndarray:
    """IoU of every box of one list with every box of another, on the host.

    Args:
        bboxes1: (M, 4) float32.
        bboxes2: (N, 4) float32.
        extent: what a box is wider than x2 - x1; 1 for VOC's pixels.

    Returns:
        (M, N) in 0..1.
    """
    low = np.maximum(bboxes1[:, None, :2], bboxes2[None, :, :2])
    high = np.minimum(bboxes1[:, None, 2:], bboxes2[None, :, 2:])
    sides = np.maximum(high - low + extent, 0)
    overlap = sides[..., 0] * sides[..., 1]
    areas = array_areas(bboxes1, extent)[:, None] + array_areas(bboxes2, extent)
    return overlap / np.maximum(areas - overlap, np.float32(EPS))


@np.errstate(over='ignore', invalid='ignore')
def array_areas(bboxes: np.ndarray, extent: float = 0) -> np.ndarray:
    """(N,) areas of (N, 4) boxes, on the host. `extent`: as of `array_overlaps`."""
    sides = bboxes[:, 2:] - bboxes[:, :2] + extent
    return sides[:, 0] * sides[:, 1]


def paired_overlaps(bboxes1: Tensor, bboxes2: Tensor, mode: str = 'iou', eps: float = EPS) -> Tensor:
    """Overlap of each box with its counterpart.

    Args:
        bboxes1, bboxes2: (..., 4), same or broadcastable shapes.
        mode: 'iou' (intersection over union), 'iof' (over the area of bboxes1), or 'giou' (IoU less the share of the smallest
            box around both that neither covers; Rezatofighi et al., CVPR 2019).
        eps: least union, and least area of the box around both.

    Returns:
        (...) in 0..1; GIoU in -1..1.
    """
    if mode not in ('iou', 'iof', 'giou'):
        raise ConfigError(f"mode of overlaps: expected 'iou', 'iof' or 'giou', not {mode!r}")
    low = torch.maximum(bboxes1[..., :2], bboxes2[..., :2])
    high = torch.minimum(bboxes1[..., 2:], bboxes2[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    overlap = width * height
    area1 = box_area(bboxes1)
    base = area1.expand_as(overlap) if mode == 'iof' else area1 + box_area(bboxes2) - overlap
    base = base.clamp(min=eps)
    if mode != 'giou':
        return overlap / base
    low = torch.minimum(bboxes1[..., :2], bboxes2[..., :2])
    high = torch.maximum(bboxes1[..., 2:], bboxes2[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)  # the gradient of `prod` would ask the device for zeros
    around = (width * height).clamp(min=eps)
    return overlap / base - (around - base) / around


@IOU_CALCULATORS.register_module()
class BboxOverlaps2D:
    """The overlap that `iou_calculator` of MMDetection's configs names: `bbox_overlaps`, as an object."""

    def __call__(self, bboxes1: Tensor, bboxes2: Tensor, mode: str = 'iou', is_aligned: bool = False) -> Tensor:
        return (paired_overlaps if is_aligned else bbox_overlaps)(bboxes1, bboxes2, mode)


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
