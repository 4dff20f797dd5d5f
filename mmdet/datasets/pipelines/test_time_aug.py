"""How a test picture is looked at: at one scale or several, mirrored or not."""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple, Union

from mmcv_need.arguments import is_number, listed
from mmcv_need.errors import ConfigError
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.compose import Compose
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.geometric import RandomFlip, Resize, read_scales
from mmdet.datasets.pipelines.sample import Sample

NEEDED_METAS = ('img_shape', 'scale_factor', 'flip', 'flip_direction')  # to bring boxes back to the original picture


@PIPELINES.register_module(parts=dict(transforms=PIPELINES))
class MultiScaleFlipAug:
    """The transforms of a test picture, at each scale, as it is and mirrored in each direction: its views.

    One view is a sample like any other. Several are a list, scale after scale, at each the picture as it is first; a detector
    then suppresses the candidates of all views together.

    Args:
        transforms: applied to each view; `RandomFlip` among them mirrors.
        img_scale: (width, height), or a list of them; or
        scale_factor: scale of the picture's own size, or a list of them.
        flip: whether to look at mirrored pictures too.
        flip_direction: of those, 'horizontal', 'vertical' or 'diagonal', or a list of them.
    """

    def __init__(self, transforms: Sequence[Any], img_scale: Any = None, scale_factor: Any = None, flip: bool = False,
                 flip_direction: Union[str, Sequence[str]] = 'horizontal'):
        if (img_scale is None) == (scale_factor is None):
            raise ConfigError('expected either img_scale or scale_factor, one of the two')
        self.scales = [] if img_scale is None else read_scales(img_scale)
        self.factors = [] if scale_factor is None else _read_factors(scale_factor)
        self.directions: List[Optional[str]] = [None]
        if flip:
            self.directions += RandomFlip(direction=flip_direction).directions  # which checks them
            _require(RandomFlip, transforms, 'flip=True')
        num_scales = len(self.scales) + len(self.factors)
        if num_scales > 1 or self.factors:
            _require(Resize, transforms, 'scale_factor' if self.factors else 'several scales')
        if num_scales * len(self.directions) > 1:
            _check_metas(transforms)
        self.transforms = Compose(transforms)

    def __call__(self, sample: Sample) -> Any:
        scales = self._scales(sample)
        if len(scales) * len(self.directions) == 1:
            sample['scale'], sample['flip_chosen'] = scales[0], None
            return self.transforms(sample)
        views = [self._view(sample, scale, direction) for scale in scales for direction in self.directions]
        return None if any(view is None for view in views) else views

    def _scales(self, sample: Sample) -> List[Tuple[int, int]]:
        """(width, height) of each scale."""
        height, width = sample.plan.shape
        return self.scales or [(max(int(width * factor), 1), max(int(height * factor), 1)) for factor in self.factors]

    def _view(self, sample: Sample, scale: Tuple[int, int], direction: Optional[str]) -> Any:
        view = sample.copy()
        view['scale'], view['flip_chosen'] = scale, direction
        return self.transforms(view)


def _read_factors(scale_factor: Any) -> List[float]:
    factors = listed(scale_factor)
    if not factors or not all(is_number(factor) and factor > 0 for factor in factors):
        raise ConfigError(f'scale_factor {scale_factor!r}: expected a number above 0, or a list of such')
    return factors


def _require(kind: type, transforms: Sequence[Any], reason: str) -> None:
    if sum(isinstance(transform, kind) for transform in transforms) != 1:
        raise ConfigError(f"{reason}: expected one dict(type='{kind.__name__}') among the transforms of MultiScaleFlipAug")


def _check_metas(transforms: Sequence[Any]) -> None:
    for transform in transforms:
        missing = [key for key in NEEDED_METAS if isinstance(transform, Collect) and key not in transform.meta_keys]
        if missing:
            raise ConfigError(f"several views need {', '.join(missing)} among the meta_keys of Collect, to be put together")
