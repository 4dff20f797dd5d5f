"""First steps of a pipeline: decode the picture, take its boxes."""
from __future__ import annotations

import os
from typing import Any, Mapping, Optional

import numpy as np

from mmcv_need.errors import ConfigError
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.picture_files import check_size, read_image
from mmdet.datasets.pipelines.plan import Plan
from mmdet.datasets.pipelines.sample import Sample


@PIPELINES.register_module()
class LoadImageFromFile:
    """Decodes the sample's picture, unless its `img_info` brings it as an `array` already.

    Args:
        to_float32: accepted for MMDetection's configs; pixels become float after rendering in any case.
        color_type: 'color', the only one that a detector's input has.
        file_client_args: dict(backend='disk').
    """

    def __init__(self, to_float32: bool = False, color_type: str = 'color',
                 file_client_args: Optional[Mapping[str, Any]] = None):
        if color_type != 'color':
            raise ConfigError(f"color_type '{color_type}': pictures are loaded in colour; set color_type='color'")
        if file_client_args and file_client_args.get('backend') != 'disk':
            raise ConfigError(f"file_client_args {dict(file_client_args)}: pictures are read from disk; use backend='disk'")

    def __call__(self, sample: Sample) -> Sample:
        info = sample['img_info']
        name = os.path.join(sample.get('img_prefix') or '', info['filename'])
        if 'array' in info:
            img = info['array']
        else:
            img = read_image(name)
            check_size(img, info, name)
        sample.plan = Plan(img)
        sample.update(filename=name, ori_filename=info['filename'], ori_shape=img.shape, flip=False, flip_direction=None,
                      scale_factor=np.ones(4, dtype=np.float32), bbox_fields=[], img_fields=['img'])
        if 'id' in info:
            sample['img_id'] = info['id']
        sample.set_shape(img.shape[:2])
        return sample


@PIPELINES.register_module()
class LoadAnnotations:
    """Takes boxes and labels from the dataset's annotation.

    Args:
        with_bbox, with_label: take them.
        with_mask, with_seg: SSD has neither.
    """

    def __init__(self, with_bbox: bool = True, with_label: bool = True, with_mask: bool = False, with_seg: bool = False):
        if with_mask or with_seg:
            raise ConfigError('with_mask and with_seg: SSD learns boxes only; set both to False')
        self.with_bbox = with_bbox
        self.with_label = with_label

    def __call__(self, sample: Sample) -> Sample:
        ann = sample['ann_info']
        if self.with_bbox:
            sample['gt_bboxes'] = _boxes(ann['bboxes'])
            sample['gt_bboxes_ignore'] = _boxes(ann.get('bboxes_ignore', ()))
            sample['bbox_fields'] = ['gt_bboxes_ignore', 'gt_bboxes']  # ignored ones first, as in MMDetection
        if self.with_label:
            sample['gt_labels'] = np.array(ann['labels'], dtype=np.int64)
        return sample


def _boxes(given: Any) -> np.ndarray:
    """(n, 4) float32, a copy; a dataset of somebody's own may give lists, or none at all."""
    return np.array([] if given is None else given, dtype=np.float32).reshape(-1, 4)
