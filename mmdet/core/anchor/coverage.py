"""How well default boxes fit the boxes that are to be found."""
from __future__ import annotations

import torch
from torch import Tensor

from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.iou import anchor_overlaps

AT_ONCE = 256  # boxes: times 8,732 default boxes, 9 MB


def best_overlaps(bboxes: Tensor, anchors: Anchors) -> Tensor:
    """(B,) the largest IoU of each box with any default box.

    Args:
        bboxes: (B, 4) x1, y1, x2, y2 in pixels of the network's input.
        anchors: the default boxes.
    """
    parts = [anchor_overlaps(part[None], anchors)[0].max(dim=1).values for part in bboxes.split(AT_ONCE)]
    return torch.cat(parts) if parts else bboxes.new_zeros(0)
