"""Transforms that move the window and the boxes. None of them touches a pixel.

Each draws its random numbers in MMDetection's order, so that the same draws give the same geometry.
Boxes are (n, 4) float32 x1, y1, x2, y2 in pixels of the present view.
"""
from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from mmcv_need.errors import ConfigError
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.sample import Sample

DIRECTIONS = ('horizontal', 'vertical', 'diagonal')


@PIPELINES.register_module()
class Expand:
    """Places the picture at random on a larger canvas of one colour ("zoom out").

    Args:
        mean: colour of the canvas, in order R, G, B if `to_rgb`.
        to_rgb: see `mean`.
        ratio_range: sides of the canvas over sides of the picture.
        prob: how often.
    """

    def __init__(self, mean: Sequence[float] = (0, 0, 0), to_rgb: bool = True, ratio_range: Tuple[float, float] = (1, 4),
                 prob: float = 0.5):
        if not 1 <= ratio_range[0] <= ratio_range[1]:
            raise ConfigError(f'ratio_range {tuple(ratio_range)}: expected 1 <= lowest <= highest')
        self.fill = tuple(float(value) for value in (mean[::-1] if to_rgb else mean))
        self.ratio_range = ratio_range
        self.prob = prob

    def __call__(self, sample: Sample) -> Sample:
        rng = sample.rng
        if rng.uniform(0, 1) > self.prob:
            return sample
        plan = sample.plan_to_edit(settle=sample.plan.is_scaled or sample.plan.is_filled or sample.plan.is_normalised)
        height, width = plan.shape
        ratio = rng.uniform(*self.ratio_range)
        left = int(rng.uniform(0, width * ratio - width))
        top = int(rng.uniform(0, height * ratio - height))
        plan.move_window(-left, -top, int(width * ratio), int(height * ratio))
        # On a picture of integers the canvas is of integers too; after a colour distortion it is of floats and exact.
        exact = plan.is_distorted or plan.source.dtype != np.uint8
        plan.fill_after_colour = plan.is_distorted
        plan.fill = self.fill if exact else tuple(float(int(value)) for value in self.fill)
        for field in sample['bbox_fields']:
            sample[field] = sample[field] + np.array([left, top, left, top], dtype=np.float32)
        return sample


def read_scales(img_scale: Any) -> List[Tuple[int, int]]:
    """(width, height), or a list of such, as a list of such.

    Raises:
        ConfigError: it is neither.
    """
    scales = [img_scale] if _is_scale(img_scale) else img_scale
    if not isinstance(scales, (list, tuple)) or not scales or not all(map(_is_scale, scales)):
        raise ConfigError(f'img_scale {img_scale!r}: expected (width, height) in pixels, or a list of such')
    return [(int(width), int(height)) for width, height in scales]


def _is_scale(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(
        isinstance(side, (int, float)) and side >= 1 for side in value)


@PIPELINES.register_module()
class Resize:
    """Scales the view, with its boxes.

    Args:
        img_scale: (width, height), or several of them; None inside MultiScaleFlipAug, which gives it.
        multiscale_mode: of several scales, 'value' draws one; 'range' draws between two.
        ratio_range: scale factor to draw instead, of the one `img_scale`.
        keep_ratio: fit inside the scale and keep the sides' ratio; False, as in SSD, stretches.
        bbox_clip_border: whether boxes are clipped to the picture.
        backend: 'cv2'.
        override: take `img_scale` even where MultiScaleFlipAug gives a scale.
    """

    def __init__(self, img_scale: Union[Tuple[int, int], Sequence[Tuple[int, int]], None] = None,
                 multiscale_mode: str = 'range', ratio_range: Optional[Tuple[float, float]] = None, keep_ratio: bool = True,
                 bbox_clip_border: bool = True, backend: str = 'cv2', override: bool = False):
        if multiscale_mode not in ('range', 'value') or backend != 'cv2':
            raise ConfigError(f"expected multiscale_mode 'range' or 'value' and backend 'cv2', not {multiscale_mode!r} and "
                              f'{backend!r}')
        self.scales = [] if img_scale is None else read_scales(img_scale)
        if ratio_range is not None and len(self.scales) != 1:
            raise ConfigError(f'ratio_range {tuple(ratio_range)} needs one img_scale to multiply, not {img_scale}')
        if ratio_range is None and multiscale_mode == 'range' and len(self.scales) > 2:
            raise ConfigError(f"img_scale {img_scale}: multiscale_mode 'range' draws between two scales; of more, set 'value'")
        self.override = override
        self.multiscale_mode = multiscale_mode
        self.ratio_range = ratio_range
        self.keep_ratio = keep_ratio
        self.bbox_clip_border = bbox_clip_border

    def __call__(self, sample: Sample) -> Sample:
        width, height = sample['scale'] if 'scale' in sample and not self.override else self._draw(sample.rng)
        plan = sample.plan_to_edit(settle=sample.plan.is_scaled)
        old_height, old_width = plan.shape
        if self.keep_ratio:
            factor = min(max(width, height) / max(old_height, old_width), min(width, height) / min(old_height, old_width))
            width, height = max(int(old_width * factor + 0.5), 1), max(int(old_height * factor + 0.5), 1)
        plan.size = (width, height)
        factors = np.array([width / old_width, height / old_height] * 2, dtype=np.float32)
        sample['scale_factor'] = factors
        sample['keep_ratio'] = self.keep_ratio
        sample.set_shape((height, width))
        corner = np.array([width, height] * 2, dtype=np.float32)
        for field in sample['bbox_fields']:
            boxes = sample[field] * factors
            sample[field] = np.minimum(np.maximum(boxes, 0), corner) if self.bbox_clip_border else boxes
        return sample

    def _draw(self, rng: np.random.Generator) -> Tuple[int, int]:
        if not self.scales:
            raise ConfigError('Resize needs img_scale, here or in the MultiScaleFlipAug around it')
        if self.ratio_range is not None:
            ratio = rng.uniform(*self.ratio_range)
            return max(int(self.scales[0][0] * ratio), 1), max(int(self.scales[0][1] * ratio), 1)
        if len(self.scales) == 1:
            return self.scales[0]
        if self.multiscale_mode == 'value':
            return self.scales[int(rng.integers(len(self.scales)))]
        longs, shorts = [max(s) for s in self.scales], [min(s) for s in self.scales]
        return int(rng.integers(min(longs), max(longs) + 1)), int(rng.integers(min(shorts), max(shorts) + 1))


@PIPELINES.register_module()
class RandomFlip:
    """Mirrors the view, with its boxes.

    Args:
        flip_ratio: how often; a list gives each direction its own share; None leaves the choice to MultiScaleFlipAug.
        direction: 'horizontal', 'vertical', 'diagonal' (both), or a list of them, each as often.
    """

    def __init__(self, flip_ratio: Union[float, Sequence[float], None] = None,
                 direction: Union[str, Sequence[str]] = 'horizontal'):
        self.directions: List[str] = [direction] if isinstance(direction, str) else list(direction or [])
        if not self.directions or not set(self.directions) <= set(DIRECTIONS):
            raise ConfigError(f"direction {direction!r}: expected one of {', '.join(DIRECTIONS)}, or a list of them")
        ratios = [] if flip_ratio is None else list(flip_ratio) if isinstance(flip_ratio, (list, tuple)) else [
            flip_ratio / len(self.directions)] * len(self.directions)
        if flip_ratio is not None and (len(ratios) != len(self.directions) or min(ratios) < 0 or sum(ratios) > 1):
            raise ConfigError(f'flip_ratio {flip_ratio}: expected a share in 0..1, or one for each of {self.directions}')
        self.shares = list(accumulate(ratios))  # up to and including each direction

    def __call__(self, sample: Sample) -> Sample:
        if 'flip_chosen' in sample:
            direction = sample['flip_chosen']
        elif self.shares:
            direction = [*self.directions, None][bisect_right(self.shares, sample.rng.random())]
        else:
            direction = None
        sample['flip'], sample['flip_direction'] = direction is not None, direction
        if direction is not None:
            self._flip(sample, direction)
        return sample

    def _flip(self, sample: Sample, direction: str) -> None:
        plan = sample.plan_to_edit()
        height, width = plan.shape
        along_x, along_y = direction != 'vertical', direction != 'horizontal'
        plan.flip_x ^= along_x
        plan.flip_y ^= along_y
        for field in sample['bbox_fields']:
            boxes = sample[field]
            sample[field] = mirrored = boxes.copy()
            if along_x:
                mirrored[:, 0], mirrored[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
            if along_y:
                mirrored[:, 1], mirrored[:, 3] = height - boxes[:, 3], height - boxes[:, 1]


@PIPELINES.register_module()
class Pad:
    """Adds zeros (after normalisation) at the right and at the bottom.

    Args:
        size: (height, width) of the result; or
        size_divisor: the least multiples of this that hold the picture.
        pad_val: 0, the only value that MMDetection's SSD configs use; or a dict whose 'img' is 0.
    """

    def __init__(self, size: Optional[Tuple[int, int]] = None, size_divisor: Optional[int] = None,
                 pad_val: Union[float, Mapping[str, float]] = 0):
        if (size is None) == (size_divisor is None):
            raise ConfigError('Pad needs either size or size_divisor')
        if pad_val.get('img', 0) if isinstance(pad_val, Mapping) else pad_val:
            raise ConfigError(f'pad_val {pad_val}: pictures are padded with 0 after normalisation; set it to 0')
        self.size = size
        self.size_divisor = size_divisor

    def __call__(self, sample: Sample) -> Sample:
        plan = sample.plan_to_edit()
        height, width = plan.shape
        if self.size_divisor is not None:
            size = tuple(-(-side // self.size_divisor) * self.size_divisor for side in (height, width))
        else:
            size = (max(self.size[0], height), max(self.size[1], width))
        plan.pad_shape = size
        sample['pad_shape'] = (*size, 3)
        return sample
