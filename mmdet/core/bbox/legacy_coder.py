"""The box coder of MMDetection 1.x, for its checkpoints: a box from 3 to 3 is one pixel wide."""
from __future__ import annotations

from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder


def with_extent(bboxes: Tensor) -> Tensor:
    """(..., 4) boxes with sides that are one pixel longer, around the same centres."""
    return torch.cat([bboxes[..., :2] - 0.5, bboxes[..., 2:] + 0.5], dim=-1)


@BBOX_CODERS.register_module()
class LegacyDeltaXYWHBBoxCoder(DeltaXYWHBBoxCoder):
    """Offsets between boxes whose sides are x2 - x1 + 1; what is decoded keeps that pixel, as MMDetection's does.

    Args:
        target_means, target_stds: of (dx, dy, dw, dh); SSD's stds are (0.1, 0.1, 0.2, 0.2).
    """

    def __init__(self, target_means: Sequence[float] = (0., 0., 0., 0.), target_stds: Sequence[float] = (1., 1., 1., 1.)):
        super().__init__(target_means, target_stds)

    def encode_from(self, centre: Tensor, size: Tensor, gt_bboxes: Tensor) -> Tensor:
        """As DeltaXYWHBBoxCoder's, with `size` = x2 - x1."""
        return super().encode_from(centre, size + 1, with_extent(gt_bboxes))

    def decode(self, bboxes: Tensor, deltas: Tensor, max_shape: Optional[Tuple[Tensor, Tensor]] = None) -> Tensor:
        """As DeltaXYWHBBoxCoder's; boxes are clipped to the centres of a picture's last pixels."""
        last = None if max_shape is None else (max_shape[0] - 1, max_shape[1] - 1)
        return super().decode(with_extent(bboxes), deltas, last)
