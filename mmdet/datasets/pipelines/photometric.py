"""Transforms of colour: they draw parameters, and core/image/pixels.py applies them to whole batches."""
from __future__ import annotations

from typing import Sequence, Tuple

from mmcv_need.errors import ConfigError
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.sample import Sample


@PIPELINES.register_module()
class PhotoMetricDistortion:
    """Distorts brightness, contrast, saturation, hue and channel order, each every other time.

    Source: Howard, "Some improvements on deep CNN based image classification", 2013, as in SSD's Caffe code.

    Args:
        brightness_delta: added up to this, of 255.
        contrast_range, saturation_range: factors.
        hue_delta: turned up to this many degrees.
    """

    def __init__(self, brightness_delta: float = 32, contrast_range: Tuple[float, float] = (0.5, 1.5),
                 saturation_range: Tuple[float, float] = (0.5, 1.5), hue_delta: float = 18):
        for name, values in (('contrast_range', contrast_range), ('saturation_range', saturation_range)):
            if len(values) != 2 or not 0 <= values[0] <= values[1]:
                raise ConfigError(f'{name} {tuple(values)}: expected 0 <= lowest <= highest')
        self.brightness_delta = brightness_delta
        self.contrast_range = contrast_range
        self.saturation_range = saturation_range
        self.hue_delta = hue_delta

    def __call__(self, sample: Sample) -> Sample:
        rng = sample.rng

        def draw(low: float, high: float, otherwise: float) -> float:
            return rng.uniform(low, high) if rng.integers(2) else otherwise

        brightness = draw(-self.brightness_delta, self.brightness_delta, 0.)
        contrast_first = int(rng.integers(2))
        contrast = draw(*self.contrast_range, 1.) if contrast_first else 1.
        saturation = draw(*self.saturation_range, 1.)
        hue = draw(-self.hue_delta, self.hue_delta, 0.)
        if not contrast_first:
            contrast = draw(*self.contrast_range, 1.)
        order = rng.permutation(3) if rng.integers(2) else (0, 1, 2)
        plan = sample.plan_to_edit(settle=sample.plan.is_distorted or sample.plan.is_normalised)
        plan.colour = (brightness, contrast_first, contrast, saturation, hue, *(float(channel) for channel in order))
        return sample


@PIPELINES.register_module()
class Normalize:
    """Subtracts the mean and divides by the standard deviation.

    Args:
        mean, std: of 0..255, in order R, G, B if `to_rgb`.
        to_rgb: whether the network's input is in order R, G, B.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True):
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigError(f'expected three means and three positive stds, not {tuple(mean)} and {tuple(std)}')
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        self.to_rgb = to_rgb

    def __call__(self, sample: Sample) -> Sample:
        plan = sample.plan_to_edit(settle=sample.plan.is_normalised)
        plan.mean, plan.std, plan.to_rgb = self.mean, self.std, self.to_rgb
        sample['img_norm_cfg'] = {'mean': self.mean, 'std': self.std, 'to_rgb': self.to_rgb}
        return sample
