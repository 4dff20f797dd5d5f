"""Last steps of a pipeline: render the picture and keep what the model needs."""
from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

from mmcv_need.errors import ConfigError
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.plan import pixel_row, render
from mmdet.datasets.pipelines.sample import Sample

META_KEYS = ('filename', 'ori_filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip', 'flip_direction',
             'img_norm_cfg', 'img_id')


@PIPELINES.register_module()
class DefaultFormatBundle:
    """A name that MMDetection's configs have here; tensors are made by the loader, for a whole batch at once."""

    def __call__(self, sample: Sample) -> Sample:
        return sample


@PIPELINES.register_module()
class ImageToTensor(DefaultFormatBundle):
    """Likewise.

    Args:
        keys: ['img'].
    """

    def __init__(self, keys: Sequence[str]):
        if list(keys) != ['img']:
            raise ConfigError(f"keys {list(keys)}: expected ['img']")


@PIPELINES.register_module()
class Collect:
    """Renders the picture and keeps the named values.

    Args:
        keys: of the sample: 'img', 'gt_bboxes', 'gt_labels', ...
        meta_keys: what goes into `img_metas`, where the sample has it.
    """

    def __init__(self, keys: Sequence[str], meta_keys: Tuple[str, ...] = META_KEYS):
        self.keys = list(keys)
        self.meta_keys = tuple(meta_keys)

    def __call__(self, sample: Sample) -> Dict[str, Any]:
        item: Dict[str, Any] = {'img_metas': {key: sample[key] for key in self.meta_keys if key in sample}}
        for key in self.keys:
            if key == 'img':
                item['img'], item['pixel_row'] = render(sample.plan), pixel_row(sample.plan)
            elif key in sample:
                item[key] = sample[key]
            else:
                raise ConfigError(f"Collect: the sample has no '{key}' here; it has {', '.join(sorted(sample))}")
        return item
