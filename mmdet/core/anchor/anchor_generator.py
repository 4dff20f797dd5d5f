"""SSD's default boxes.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, sec. 2.2; sizes as in the authors' Caffe scripts,
with MMDetection's rounding and order.

Sizes:  N images,  L levels,  H W of a level's feature map,  K base boxes a cell,  A boxes of all levels (8732 for SSD300).
"""
from __future__ import annotations

import math
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.builder import ANCHOR_GENERATORS

# Smallest boxes in percent of the input, (min, max), by (input size, first ratio of the range in percent): Caffe's scripts.
FIRST_LEVEL_PERCENT = {(300, 15): (7, 15), (300, 20): (10, 20), (512, 10): (4, 10), (512, 15): (7, 15)}


class Anchors(NamedTuple):
    """Default boxes, and what matching needs of them, computed once.

    Boxes of one row or column of a feature map share their vertical or horizontal extent, so a few hundred extents make
    up all boxes. Overlaps are computed on extents and combined: see bbox/iou.py.

    Fields:
        boxes: (A, 4) x1, y1, x2, y2 in pixels of the input; levels, then rows, columns, base boxes.
        centres, sizes: (A, 2) x, y and width, height.
        areas: (A,) in square pixels.
        starts, ends: (2, X) distinct horizontal extents, then vertical ones, padded to as many.
        x_index, y_index: (A,) int64, box to extent, in the 2 X extents of both axes in a row.
        origins: (A, 2) x and y of the top left corner of each box's cell, in pixels of the input.
        num_level: (L,) boxes of each level.
        reach: largest x and y of an origin, known without asking the device.
    """
    boxes: Tensor
    centres: Tensor
    sizes: Tensor
    areas: Tensor
    starts: Tensor
    ends: Tensor
    x_index: Tensor
    y_index: Tensor
    origins: Tensor
    num_level: Tuple[int, ...]
    reach: Tuple[float, float]

    @classmethod
    def from_boxes(cls, boxes: Tensor, num_level: Sequence[int], origins: Optional[Tensor] = None) -> Anchors:
        """Boxes without `origins` are valid in every picture."""
        origins = torch.zeros_like(boxes[:, :2]) if origins is None else origins
        x_extents, x_index = torch.unique(boxes[:, [0, 2]], dim=0, return_inverse=True)
        y_extents, y_index = torch.unique(boxes[:, [1, 3]], dim=0, return_inverse=True)
        length = max(len(x_extents), len(y_extents))
        extents = boxes.new_zeros(2, length, 2)
        extents[0, :len(x_extents)], extents[1, :len(y_extents)] = x_extents, y_extents
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) * 0.5, boxes[:, 2:] - boxes[:, :2]
        starts, ends = extents[..., 0].contiguous(), extents[..., 1].contiguous()
        x, y = origins.max(dim=0).values.tolist()
        return cls(boxes, centres, sizes, sizes.prod(dim=1), starts, ends, x_index, y_index + length, origins,
                   tuple(num_level), (x, y))

    def to(self, device: torch.device) -> Anchors:
        return Anchors(*(part.to(device) for part in self[:-2]), self.num_level, self.reach)

    def valid_in(self, pad_shapes: Sequence[Sequence[float]]) -> Optional[Tensor]:
        """Which boxes belong to a cell that begins inside its picture, where a batch has pictures of several sizes.

        Args:
            pad_shapes: height and width of each picture in pixels, without what the batch added; what follows is not read.

        Returns:
            (N, A) bool; None if all are, as in every batch of SSD: then nothing is computed.
        """
        sides = [(float(shape[1]), float(shape[0])) for shape in pad_shapes]
        if all(self.reach[0] < width and self.reach[1] < height for width, height in sides):
            return None
        return (self.origins < torch.tensor(sides, device=self.origins.device)[:, None]).all(dim=-1)


def base_sides(min_size: float, max_size: float, ratios: Sequence[float],
               max_side: Optional[float] = None) -> Tuple[Tensor, Tensor]:
    """(K,) widths and heights of a cell's boxes: ratio 1, ratio 1 between the sizes, then 1/r and r for each ratio.

    Float32 at every step, in MMDetection's order of operations, to the last bit.
    """
    heights = torch.tensor([1.0] + [value for r in ratios for value in (1 / r, r)]).sqrt()
    scales = torch.tensor([1.0, math.sqrt(max_size / min_size)])
    ws = torch.cat([min_size * (1 / heights)[:1] * scales, (min_size * (1 / heights))[1:]])
    hs = torch.cat([min_size * heights[:1] * scales, (min_size * heights)[1:]])
    return (ws, hs) if max_side is None else (ws.clamp(max=max_side), hs.clamp(max=max_side))


def base_boxes(min_size: float, max_size: float, ratios: Sequence[float], stride: Tuple[float, float],
               max_side: Optional[float] = None) -> Tensor:
    """(K, 4) boxes of the first cell, around its centre."""
    ws, hs = base_sides(min_size, max_size, ratios, max_side)
    x, y = stride[0] / 2, stride[1] / 2
    return torch.stack([x - 0.5 * ws, y - 0.5 * hs, x + 0.5 * ws, y + 0.5 * hs], dim=-1)


@ANCHOR_GENERATORS.register_module()
class SSDAnchorGenerator:
    """Makes the default boxes of a feature pyramid.

    Level k has boxes of side `min_sizes[k]` at ratio 1, of side sqrt(min * max) at ratio 1, and of side `min_sizes[k]` at
    1/r and r (height to width) for each r of `ratios[k]`. Boxes are neither clipped nor rounded.

    Args:
        strides: pixels between centres of each level; an int or (w, h). The first centre is at half a stride.
        ratios: for each level, ratios above 1.
        input_size: side of the input, 300 or 512, where sizes follow from `basesize_ratio_range`.
        basesize_ratio_range: smallest and largest size as a share of the input, from the second level on: (0.15, 0.9) and
            (0.2, 0.9) for 300 (COCO, VOC), (0.1, 0.9) and (0.15, 0.9) for 512.
        min_sizes, max_sizes: sizes in pixels by level, instead of the two above, for any input size.
        scale_major: MMDetection's order option; only False has a meaning for SSD.
        max_side: longest side of a box in pixels; None does not limit it. torchvision's are no longer than the input.
    """
    base_boxes = staticmethod(base_boxes)

    def __init__(self, strides: Sequence[Union[float, Tuple[float, float]]], ratios: Sequence[Sequence[float]],
                 input_size: int = 300, basesize_ratio_range: Tuple[float, float] = (0.15, 0.9),
                 min_sizes: Optional[Sequence[float]] = None, max_sizes: Optional[Sequence[float]] = None,
                 scale_major: bool = False, max_side: Optional[float] = None):
        if len(strides) != len(ratios):
            raise ConfigError(f'strides has {len(strides)} levels and ratios has {len(ratios)}; expected as many')
        if scale_major:
            raise ConfigError('scale_major=True is not the order of SSD checkpoints; leave it False')
        if max_side is not None and max_side <= 0:
            raise ConfigError(f'max_side {max_side}: expected more than 0 pixels, or None')
        if (min_sizes is None) != (max_sizes is None):
            raise ConfigError('give both min_sizes and max_sizes, or neither')
        if min_sizes is None or max_sizes is None:
            min_sizes, max_sizes = sizes_from_range(input_size, basesize_ratio_range, len(strides))
        if not len(min_sizes) == len(max_sizes) == len(strides):
            raise ConfigError(f'min_sizes has {len(min_sizes)} levels, max_sizes {len(max_sizes)}, strides {len(strides)}; '
                              f'expected as many')
        self.strides = [(s, s) if isinstance(s, (int, float)) else tuple(s) for s in strides]
        self.min_sizes, self.max_sizes = list(min_sizes), list(max_sizes)
        self.base_anchors = [self.base_boxes(low, high, level_ratios, stride, max_side) for low, high, level_ratios, stride
                             in zip(self.min_sizes, self.max_sizes, ratios, self.strides)]
        self._made: Dict[Tuple, Anchors] = {}

    @property
    def num_levels(self) -> int:
        return len(self.strides)

    @property
    def num_base_anchors(self) -> List[int]:
        """K of each level."""
        return [len(base) for base in self.base_anchors]

    @property
    def num_base_priors(self) -> List[int]:
        """MMDetection's name for `num_base_anchors` since 2.18."""
        return self.num_base_anchors

    def grid_priors(self, featmap_sizes: Sequence[Tuple[int, int]], dtype: torch.dtype = torch.float32,
                    device: Union[torch.device, str] = 'cpu') -> List[Tensor]:
        """Boxes (A_l, 4) of each level, as heads in MMDetection's manner ask for them."""
        anchors = self.grid_anchors(featmap_sizes, torch.device(device))
        return [level.to(dtype) for level in anchors.boxes.split(list(anchors.num_level))]

    def valid_flags(self, featmap_sizes: Sequence[Tuple[int, int]], pad_shape: Sequence[float],
                    device: Union[torch.device, str] = 'cpu') -> List[Tensor]:
        """(A_l,) bool of each level, whether a box's cell begins inside a picture of (height, width, ...) pixels."""
        anchors = self.grid_anchors(featmap_sizes, torch.device(device))
        valid = anchors.valid_in([pad_shape])
        flags = torch.ones(len(anchors.boxes), dtype=torch.bool, device=anchors.boxes.device) if valid is None else valid[0]
        return list(flags.split(list(anchors.num_level)))

    def grid_anchors(self, featmap_sizes: Sequence[Tuple[int, int]], device: torch.device) -> Anchors:
        """Boxes for feature maps of the given (H, W), made once for each combination and device."""
        key = (tuple(tuple(size) for size in featmap_sizes), str(device))
        if key not in self._made:
            if len(featmap_sizes) != self.num_levels:
                raise ConfigError(f'{len(featmap_sizes)} feature maps for {self.num_levels} levels of default boxes')
            levels = [grid_boxes(base, size, stride) for base, size, stride
                      in zip(self.base_anchors, featmap_sizes, self.strides)]
            corners = [grid_boxes(torch.zeros_like(base), size, stride)[:, :2] for base, size, stride
                       in zip(self.base_anchors, featmap_sizes, self.strides)]
            num_level = [len(level) for level in levels]
            self._made[key] = Anchors.from_boxes(torch.cat(levels), num_level, torch.cat(corners)).to(device)
        return self._made[key]


def sizes_from_range(input_size: int, ratio_range: Tuple[float, float], num_levels: int) -> Tuple[List[int], List[int]]:
    """Smallest and largest box side of each level in pixels, with the integer arithmetic of the published models."""
    percents = int(round(ratio_range[0] * 10000) / 100), int(round(ratio_range[1] * 10000) / 100)
    first = FIRST_LEVEL_PERCENT.get((input_size, percents[0]))
    if first is None:
        known = ', '.join(f'{percent / 100} for {size}' for size, percent in FIRST_LEVEL_PERCENT)
        raise ConfigError(f'no published sizes for input_size {input_size} with basesize_ratio_range[0] {ratio_range[0]} '
                          f'(known: {known}); give min_sizes and max_sizes in pixels')
    step = (percents[1] - percents[0]) // (num_levels - 2)
    ratios = range(percents[0], percents[1] + 1, step)
    min_sizes = [int(input_size * first[0] / 100)] + [int(input_size * ratio / 100) for ratio in ratios]
    max_sizes = [int(input_size * first[1] / 100)] + [int(input_size * (ratio + step) / 100) for ratio in ratios]
    return min_sizes, max_sizes


def grid_boxes(base: Tensor, size: Tuple[int, int], stride: Tuple[float, float]) -> Tensor:
    """(H*W*K, 4): the base boxes at every cell, row by row."""
    height, width = size
    x = torch.arange(width, dtype=torch.float32) * stride[0]
    y = torch.arange(height, dtype=torch.float32) * stride[1]
    shift_y, shift_x = (grid.reshape(-1) for grid in torch.broadcast_tensors(y[:, None], x[None, :]))
    shifts = torch.stack([shift_x, shift_y, shift_x, shift_y], dim=-1)
    return (base[None, :, :] + shifts[:, None, :]).reshape(-1, 4)
