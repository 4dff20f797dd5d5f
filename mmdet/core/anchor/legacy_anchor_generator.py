"""SSD's default boxes of MMDetection 1.x, for its checkpoints: pixels have an extent, and corners are whole numbers."""
from __future__ import annotations

from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator, base_sides
from mmdet.core.anchor.builder import ANCHOR_GENERATORS


def legacy_base_boxes(min_size: float, max_size: float, ratios: Sequence[float], stride: Tuple[float, float],
                      max_side: Optional[float] = None) -> Tensor:
    """(K, 4) boxes of the first cell: a box of w pixels reaches from x to x + w - 1, and the cell's centre is (s - 1) / 2."""
    ws, hs = base_sides(min_size, max_size, ratios, max_side)
    x, y = (stride[0] - 1) / 2, (stride[1] - 1) / 2
    half_w, half_h = 0.5 * (ws - 1), 0.5 * (hs - 1)
    return torch.stack([x - half_w, y - half_h, x + half_w, y + half_h], dim=-1).round()


@ANCHOR_GENERATORS.register_module()
class LegacySSDAnchorGenerator(SSDAnchorGenerator):
    """Default boxes of models that were trained with MMDetection 1.x; arguments as those of SSDAnchorGenerator."""
    base_boxes = staticmethod(legacy_base_boxes)
