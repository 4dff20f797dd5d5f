"""How a test picture is looked at."""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from mmcv_need.errors import ConfigError
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.compose import Compose
from mmdet.datasets.pipelines.geometric import read_scales
from mmdet.datasets.pipelines.sample import Sample


@PIPELINES.register_module(parts=dict(transforms=PIPELINES))
class MultiScaleFlipAug:
    """The transforms of a test picture, at a given scale.

    Args:
        transforms: applied to the picture.
        img_scale: (width, height), or a list of one.
        flip: whether to look at the mirrored picture too.
        flip_direction: of that.
    """

    def __init__(self, transforms: Sequence[Any], img_scale: Any = None, flip: bool = False,
                 flip_direction: str = 'horizontal'):
        scales: List[Optional[Tuple[int, int]]] = [None] if img_scale is None else [*read_scales(img_scale)]
        if len(scales) != 1 or flip:
            raise ConfigError('several views of a test picture (scales, flips) are not supported; give one img_scale and '
                              'flip=False')
        self.transforms = Compose(transforms)
        self.scale = scales[0]

    def __call__(self, sample: Sample) -> Any:
        if self.scale is not None:
            sample['scale'] = self.scale
        sample['flip_chosen'] = None
        return self.transforms(sample)
