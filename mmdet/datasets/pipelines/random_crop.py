"""The random crop that SSD learns small and large objects by."""
from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from mmcv_need.errors import ConfigError
from mmdet.core.bbox.iou import array_overlaps
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.sample import Sample

LABELS_OF = {'gt_bboxes': 'gt_labels', 'gt_bboxes_ignore': 'gt_labels_ignore'}


@PIPELINES.register_module()
class MinIoURandomCrop:
    """Crops so that all boxes overlap the crop by at least a random amount ("zoom in").

    Source: Liu et al., SSD, ECCV 2016, sec. 2.2 "Data augmentation".

    Args:
        min_ious: amounts to choose from, beside 1 (no crop) and 0 (any crop).
        min_crop_size: least side of the crop as a share of the picture's.
        bbox_clip_border: whether boxes are clipped to the crop.
    """

    def __init__(self, min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size: float = 0.3,
                 bbox_clip_border: bool = True):
        if not 0 < min_crop_size <= 1:
            raise ConfigError(f'min_crop_size {min_crop_size} is not in (0, 1]')
        self.modes = (1, *min_ious, 0)
        self.min_crop_size = min_crop_size
        self.bbox_clip_border = bbox_clip_border

    def __call__(self, sample: Sample) -> Sample:
        boxes = [sample[field] for field in sample['bbox_fields']]
        shape = sample.plan_to_edit().shape
        found = self._search(sample.rng, shape, np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32))
        if found is not None:
            self._crop(sample, found)
        return sample

    def _search(self, rng: np.random.Generator, shape: Tuple[int, int], boxes: np.ndarray) -> Optional[np.ndarray]:
        """A crop (x1, y1, x2, y2) that satisfies a randomly chosen mode, or None for no crop.

        A mode that fails 50 times is drawn again; since "no crop" is among them, this ends.
        """
        height, width = shape
        while True:
            mode = rng.choice(self.modes)
            if mode == 1:
                return None
            for _ in range(50):
                new_width = rng.uniform(self.min_crop_size * width, width)
                new_height = rng.uniform(self.min_crop_size * height, height)
                if new_height / new_width < 0.5 or new_height / new_width > 2:
                    continue
                left = _one_to(width - new_width, rng)
                top = _one_to(height - new_height, rng)
                patch = np.array((int(left), int(top), int(left + new_width), int(top + new_height)))
                if patch[2] == patch[0] or patch[3] == patch[1]:
                    continue
                if _satisfies(mode, patch, boxes):
                    return patch

    def _crop(self, sample: Sample, patch: np.ndarray) -> None:
        x1, y1, x2, y2 = (int(side) for side in patch)
        for field in sample['bbox_fields']:
            inside = _centre_inside(patch, sample[field])
            boxes = sample[field][inside]
            if self.bbox_clip_border:
                boxes = np.concatenate([np.maximum(boxes[:, :2], patch[:2]), np.minimum(boxes[:, 2:], patch[2:])], axis=1)
            sample[field] = (boxes - np.tile(patch[:2], 2)).astype(np.float32)
            if LABELS_OF[field] in sample:
                sample[LABELS_OF[field]] = sample[LABELS_OF[field]][inside]
        plan = sample.plan_to_edit(settle=sample.plan.is_scaled)
        plan.move_window(x1, y1, x2 - x1, y2 - y1)
        sample.set_shape(plan.shape)


def _one_to(room: float, rng: np.random.Generator) -> float:
    """Uniform between 1 and the room there is, which may be less than 1: what MMDetection's one-argument draw amounts to."""
    return room + (1.0 - room) * rng.uniform(0, 1)


def _satisfies(mode: float, patch: np.ndarray, boxes: np.ndarray) -> bool:
    """Whether all boxes overlap the patch by the mode at least, and the centre of one is inside; no boxes always do."""
    if not len(boxes):
        return True
    overlaps = array_overlaps(patch[None].astype(np.float32), boxes)
    return bool(overlaps.min() >= mode and _centre_inside(patch, boxes).any())


def _centre_inside(patch: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n,) bool: whether the centre of each box is strictly inside the patch."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centre > patch[:2]) & (centre < patch[2:])).all(axis=1)
