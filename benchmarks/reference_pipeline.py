"""SSD's training pipeline the plain way: every step makes its picture before the next begins, canvas included.

Written from what MMDetection 2.x does, step for step, with numpy and OpenCV as it uses them, and drawing its random numbers
in the same order as the planned pipeline: the same numbers give the same crops, hence the same work and nearly the same pixels.

The steps are registered, each under its name with `Eager` before it, so that real training runs with them (learning.py).
"""
from __future__ import annotations

import copy
import os
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import cv2
import numpy as np
import torch
from torch import Tensor

from mmdet.core.image.pixels import NO_COLOUR, NO_FILL, NO_NORMALISE, row_of
from mmdet.datasets import PIPELINES
from mmdet.datasets.pipelines.formatting import META_KEYS

FIELDS = ('gt_bboxes_ignore', 'gt_bboxes')


@PIPELINES.register_module()
class EagerLoadImageFromFile:
    """Decodes; to float at once if `to_float32`, as configs before MMDetection 2.19 ask for."""

    def __init__(self, to_float32: bool = False):
        self.to_float32 = to_float32

    def __call__(self, sample: Any) -> Any:
        name = os.path.join(sample['img_prefix'], sample['img_info']['filename'])
        with open(name, 'rb') as file:
            img = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
        sample['img'] = img.astype(np.float32) if self.to_float32 else img
        sample.update(filename=name, ori_filename=sample['img_info']['filename'], ori_shape=img.shape, img_shape=img.shape)
        return sample


@PIPELINES.register_module()
class EagerLoadAnnotations:
    """Copies boxes and labels."""

    def __init__(self, with_bbox: bool = True):
        self.with_bbox = with_bbox

    def __call__(self, sample: Any) -> Any:
        ann = sample['ann_info']
        sample['gt_bboxes'], sample['gt_bboxes_ignore'] = ann['bboxes'].copy(), ann['bboxes_ignore'].copy()
        sample['gt_labels'] = ann['labels'].copy()
        return sample


@PIPELINES.register_module()
class EagerExpand:
    """Paints a canvas of up to 4 x 4 pictures, and the picture on it."""

    def __init__(self, mean: Sequence[float] = (0, 0, 0), to_rgb: bool = True, ratio_range: Tuple[float, float] = (1, 4),
                 prob: float = 0.5):
        self.mean = mean[::-1] if to_rgb else mean
        self.ratio_range = ratio_range
        self.prob = prob

    def __call__(self, sample: Any) -> Any:
        rng = sample.rng
        if rng.uniform(0, 1) > self.prob:
            return sample
        img = sample['img']
        height, width, channels = img.shape
        ratio = rng.uniform(*self.ratio_range)
        canvas = np.full((int(height * ratio), int(width * ratio), channels), self.mean, dtype=img.dtype)
        left = int(rng.uniform(0, width * ratio - width))
        top = int(rng.uniform(0, height * ratio - height))
        canvas[top:top + height, left:left + width] = img
        sample['img'] = canvas
        for field in FIELDS:
            sample[field] = sample[field] + np.tile((left, top), 2).astype(sample[field].dtype)
        return sample


@PIPELINES.register_module()
class EagerMinIoURandomCrop:
    """Looks for a crop, one try after another, and cuts it out."""

    def __init__(self, min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size: float = 0.3):
        self.modes = (1, *min_ious, 0)
        self.min_crop_size = min_crop_size

    def __call__(self, sample: Any) -> Any:
        rng, img = sample.rng, sample['img']
        boxes = np.concatenate([sample[field] for field in FIELDS], 0)
        height, width, _ = img.shape
        while True:
            mode = rng.choice(self.modes)
            if mode == 1:
                return sample
            for _ in range(50):
                new_width = rng.uniform(self.min_crop_size * width, width)
                new_height = rng.uniform(self.min_crop_size * height, height)
                if new_height / new_width < 0.5 or new_height / new_width > 2:
                    continue
                # numpy's one-argument uniform(x) draws between x and 1
                left = _between(width - new_width, 1.0, rng)
                top = _between(height - new_height, 1.0, rng)
                patch = np.array((int(left), int(top), int(left + new_width), int(top + new_height)))
                if patch[2] == patch[0] or patch[3] == patch[1]:
                    continue
                if len(boxes) and (_overlaps(patch, boxes).min() < mode or not _centre_in(boxes, patch).any()):
                    continue
                return self._crop(sample, patch)

    @staticmethod
    def _crop(sample: Any, patch: np.ndarray) -> Any:
        for field in FIELDS:
            boxes = sample[field].copy()
            inside = _centre_in(boxes, patch)
            boxes = boxes[inside]
            boxes[:, 2:] = boxes[:, 2:].clip(max=patch[2:])
            boxes[:, :2] = boxes[:, :2].clip(min=patch[:2])
            sample[field] = boxes - np.tile(patch[:2], 2).astype(boxes.dtype)
            if field == 'gt_bboxes':
                sample['gt_labels'] = sample['gt_labels'][inside]
        sample['img'] = sample['img'][patch[1]:patch[3], patch[0]:patch[2]]
        sample['img_shape'] = sample['img'].shape
        return sample


def _between(low: float, high: float, rng: np.random.Generator) -> float:
    return low + (high - low) * rng.uniform(0, 1)


def _overlaps(patch: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n,) IoU of a patch with boxes."""
    patch = patch.astype(np.float32)
    sides = np.maximum(np.minimum(patch[2:], boxes[:, 2:]) - np.maximum(patch[:2], boxes[:, :2]), 0)
    overlap = sides[:, 0] * sides[:, 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return overlap / np.maximum((patch[2] - patch[0]) * (patch[3] - patch[1]) + areas - overlap, 1e-6)


def _centre_in(boxes: np.ndarray, patch: np.ndarray) -> np.ndarray:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centre > patch[:2]) & (centre < patch[2:])).all(axis=1)


@PIPELINES.register_module()
class EagerResize:
    """Stretches to (width, height)."""

    def __init__(self, img_scale: Tuple[int, int], keep_ratio: bool = False):
        self.size = tuple(img_scale)

    def __call__(self, sample: Any) -> Any:
        height, width = sample['img'].shape[:2]
        sample['img'] = cv2.resize(sample['img'], self.size, interpolation=cv2.INTER_LINEAR)
        factors = np.array([self.size[0] / width, self.size[1] / height] * 2, dtype=np.float32)
        for field in FIELDS:
            boxes = sample[field] * factors
            boxes[:, 0::2] = np.clip(boxes[:, 0::2], 0, self.size[0])
            boxes[:, 1::2] = np.clip(boxes[:, 1::2], 0, self.size[1])
            sample[field] = boxes
        sample.update(img_shape=sample['img'].shape, pad_shape=sample['img'].shape, scale_factor=factors)
        return sample


@PIPELINES.register_module()
class EagerRandomFlip:
    """Mirrors left and right."""

    def __init__(self, flip_ratio: float = 0.5):
        self.ratio = flip_ratio

    def __call__(self, sample: Any) -> Any:
        chosen = sample.rng.choice(['horizontal', None], p=[self.ratio, 1 - self.ratio])
        sample.update(flip=chosen is not None, flip_direction=chosen)
        if chosen is not None:
            sample['img'] = np.flip(sample['img'], axis=1)
            width = sample['img'].shape[1]
            for field in FIELDS:
                flipped = sample[field].copy()
                flipped[:, 0::2] = width - sample[field][:, 2::-2]
                sample[field] = flipped
        return sample


@PIPELINES.register_module()
class EagerPhotoMetricDistortion:
    """Distorts the colours of a float picture, by way of OpenCV's HSV."""

    def __init__(self, brightness_delta: float = 32, contrast_range: Tuple[float, float] = (0.5, 1.5),
                 saturation_range: Tuple[float, float] = (0.5, 1.5), hue_delta: float = 18):
        self.brightness, self.hue = brightness_delta, hue_delta
        self.contrast, self.saturation = contrast_range, saturation_range

    def __call__(self, sample: Any) -> Any:
        rng, img = sample.rng, sample['img'].astype(np.float32)
        if rng.integers(2):
            img += rng.uniform(-self.brightness, self.brightness)
        contrast_first = rng.integers(2)
        if contrast_first and rng.integers(2):
            img *= rng.uniform(*self.contrast)
        img = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        if rng.integers(2):
            img[..., 1] *= rng.uniform(*self.saturation)
        if rng.integers(2):
            img[..., 0] += rng.uniform(-self.hue, self.hue)
            img[..., 0][img[..., 0] > 360] -= 360
            img[..., 0][img[..., 0] < 0] += 360
        img = cv2.cvtColor(img, cv2.COLOR_HSV2BGR)
        if not contrast_first and rng.integers(2):
            img *= rng.uniform(*self.contrast)
        if rng.integers(2):
            img = img[..., rng.permutation(3)]
        sample['img'] = img
        return sample


@PIPELINES.register_module()
class EagerNormalize:
    """Subtracts the mean and divides by the standard deviation, in place."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True):
        self.mean, self.scale = np.float64([mean]), 1 / np.float64([std])
        self.to_rgb = to_rgb

    def __call__(self, sample: Any) -> Any:
        img = np.ascontiguousarray(sample['img'], dtype=np.float32)
        img = img.copy() if img is sample['img'] else img
        if self.to_rgb:
            cv2.cvtColor(img, cv2.COLOR_BGR2RGB, img)
        cv2.subtract(img, self.mean, img)
        cv2.multiply(img, self.scale, img)
        sample['img'] = img
        return sample


@PIPELINES.register_module()
class EagerDefaultFormatBundle:
    """Channels first, as MMDetection hands pictures to the loader."""

    def __call__(self, sample: Any) -> Any:
        sample['img'] = np.ascontiguousarray(sample['img'].transpose(2, 0, 1))
        return sample


@PIPELINES.register_module()
class EagerCollect:
    """Keeps what the model needs, in the form that the toolkit's loader takes: there is nothing left to do to the picture."""

    def __init__(self, keys: Sequence[str]):
        self.keys = keys

    def __call__(self, sample: Any) -> Dict[str, Any]:
        item = {key: sample[key] for key in self.keys}
        height, width = item['img'].shape[1:]
        nothing_left = row_of(NO_COLOUR, NO_FILL, (height, width), NO_NORMALISE, (0, 0, width, height))
        return {**item, 'img': item['img'].transpose(1, 2, 0), 'pixel_row': nothing_left,
                'img_metas': {key: sample[key] for key in META_KEYS if key in sample}}


@PIPELINES.register_module(parts=dict(transforms=PIPELINES))
class EagerSteps:
    """Steps as one: what the toolkit does around a step of somebody else's costs the plain way next to nothing then."""

    def __init__(self, transforms: Sequence[Any]):
        self.transforms = transforms

    def __call__(self, sample: Any) -> Any:
        for transform in self.transforms:
            sample = transform(sample)
        return sample


def eager(pipeline: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The same steps of a config's training pipeline, the plain way."""
    steps = [{**copy.deepcopy(dict(step)), 'type': f"Eager{step['type']}"} for step in pipeline]
    return [dict(type='EagerSteps', transforms=steps)]


def earlier_order(pipeline: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The order before MMDetection 2.19: floats from the start, and colours distorted in the whole picture, before Expand."""
    steps = {step['type']: dict(step) for step in pipeline}
    steps['LoadImageFromFile']['to_float32'] = True
    names = [name for name in steps if name != 'PhotoMetricDistortion']
    names.insert(names.index('Expand'), 'PhotoMetricDistortion')
    return [steps[name] for name in names]


def stack(items: Sequence[Mapping[str, Any]]) -> Tensor:
    """(N, 3, H, W) float32, as MMDetection's collate makes it of pictures that are channels first already."""
    return torch.stack([torch.from_numpy(item['img'].transpose(2, 0, 1)) for item in items])
