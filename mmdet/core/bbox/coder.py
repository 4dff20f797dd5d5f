"""Boxes as offsets from default boxes.

Source: Girshick et al., R-CNN, CVPR 2014, app. C; the stds ("variances") are those of SSD's Caffe code.
"""
from __future__ import annotations

import math
from typing import Any, Optional, Sequence, Tuple

import torch
from torch import Tensor

from mmcv_need.errors import ConfigError
from mmdet.core.bbox.builder import BBOX_CODERS

MAX_LOG_RATIO = abs(math.log(16 / 1000))  # a side grows or shrinks by at most 62.5 when decoded, as in Detectron


def centre_size(bboxes: Tensor) -> Tuple[Tensor, Tensor]:
    """(..., 4) corners -> (..., 2) centres and (..., 2) sides."""
    low, high = bboxes.reshape(*bboxes.shape[:-1], 2, 2).unbind(-2)
    return (low + high) * 0.5, high - low


@BBOX_CODERS.register_module()
class DeltaXYWHBBoxCoder:
    """Centre offset in units of the box, log of the side ratio; `decode(b, encode(b, gt)) == gt` up to rounding.

    Args:
        target_means, target_stds: of (dx, dy, dw, dh); SSD's stds are (0.1, 0.1, 0.2, 0.2).
        clip_border: whether decoded boxes are clipped to the picture where its shape is given.
        add_ctr_clamp: whether decoded centres move by at most `ctr_clamp` pixels along each axis; sides may then shrink without
            limit. An option of YOLOF, not of SSD.
        ctr_clamp: in pixels.
    """

    def __init__(self, target_means: Sequence[float] = (0., 0., 0., 0.), target_stds: Sequence[float] = (1., 1., 1., 1.),
                 clip_border: bool = True, add_ctr_clamp: bool = False, ctr_clamp: float = 32):
        if len(target_means) != 4 or len(target_stds) != 4 or min(target_stds) <= 0:
            raise ConfigError(f'expected four means and four positive stds, not {target_means} and {target_stds}')
        if ctr_clamp <= 0:
            raise ConfigError(f'ctr_clamp {ctr_clamp}: expected more than 0 pixels')
        self.clip_border = clip_border
        self.max_move = ctr_clamp if add_ctr_clamp else None
        self._shifted = any(target_means)
        self._constants = {'cpu': torch.tensor([target_means, target_stds], dtype=torch.float32)}

    def _means_stds(self, device: torch.device) -> Tuple[Tensor, Tensor]:
        """The constants on a device; copied there once, since a copy from the host waits."""
        if str(device) not in self._constants:
            self._constants[str(device)] = self._constants['cpu'].to(device)
        means, stds = self._constants[str(device)].unbind(0)
        return means, stds

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """Offsets that turn `bboxes` into `gt_bboxes`.

        Args:
            bboxes: (..., 4).
            gt_bboxes: (..., 4), same or broadcastable shape.

        Returns:
            (..., 4) dx, dy, dw, dh, normalised.
        """
        return self.encode_from(*centre_size(bboxes), gt_bboxes)

    def encode_from(self, centre: Tensor, size: Tensor, gt_bboxes: Tensor) -> Tensor:
        """`encode` for boxes whose (..., 2) centres and sides are known already, as those of default boxes are."""
        gt_centre, gt_size = centre_size(gt_bboxes)
        deltas = torch.cat([(gt_centre - centre) / size, (gt_size / size).log()], dim=-1)
        means, stds = self._means_stds(deltas.device)
        return (deltas - means if self._shifted else deltas) / stds

    def decode(self, bboxes: Tensor, deltas: Tensor, max_shape: Optional[Sequence[Any]] = None) -> Tensor:
        """Boxes at the given offsets.

        Args:
            bboxes: (..., 4).
            deltas: (..., 4), normalised.
            max_shape: heights and widths of the pictures in pixels, broadcastable to the leading axes; boxes are clipped
                to them if `clip_border`. What follows the two is not read.

        Returns:
            (..., 4).
        """
        means, stds = self._means_stds(deltas.device)
        deltas = deltas * stds + means
        centre, size = centre_size(bboxes)
        move, log_ratio = size * deltas[..., :2], deltas[..., 2:]
        if self.max_move is None:
            log_ratio = log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        else:
            move, log_ratio = move.clamp(-self.max_move, self.max_move), log_ratio.clamp(max=MAX_LOG_RATIO)
        centre, half = centre + move, size * log_ratio.exp() * 0.5
        decoded = torch.cat([centre - half, centre + half], dim=-1)
        if max_shape is None or not self.clip_border:
            return decoded
        height, width = (torch.as_tensor(side, dtype=decoded.dtype, device=decoded.device) for side in max_shape[:2])
        limit = torch.stack(torch.broadcast_tensors(width, height, width, height), dim=-1)
        return torch.minimum(decoded, limit).clamp(min=0)
