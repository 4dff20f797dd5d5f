"""The random crop that SSD learns small and large objects by."""
from __future__ import annotations

import math
from typing import Iterator, Optional, Sequence, Tuple

import numpy as np

from mmcv_need.errors import ConfigError
from mmdet.core.bbox.iou import array_areas, array_overlaps
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.sample import Sample

TRIES = 50  # of a mode, before another is drawn
ROUNDING = 1.001  # of float32, generously: what an area rules out by this factor, an IoU does
Patch = Tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the view
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

    def _search(self, rng: np.random.Generator, shape: Tuple[int, int], boxes: np.ndarray) -> Optional[Patch]:
        """A crop that satisfies a randomly chosen mode, or None for no crop.

        A mode that fails 50 times is drawn again; since "no crop" is among them, this ends. Hardly any crop overlaps a small
        box by much, so most modes fail: the smallest box settles that first, by numbers rather than by arrays of them.
        """
        areas, centres = array_areas(boxes), ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist()
        smallest, least_box = math.inf, (0., 0., 0., 0.)
        if len(boxes):
            place = areas.argmin()
            smallest, least_box = float(areas[place]), boxes[place].tolist()
        reachable = self._reachable_overlap(shape, smallest)
        while True:
            mode = self.modes[rng.integers(len(self.modes))]
            if mode == 1:
                return None
            if mode > reachable:
                continue
            for patch in self._tries(rng, shape):
                x1, y1, x2, y2 = patch
                if mode * (x2 - x1) * (y2 - y1) > ROUNDING * _shared(patch, least_box) and len(boxes):
                    continue
                if len(boxes) and not any(x1 < x < x2 and y1 < y < y2 for x, y in centres):
                    continue
                if not mode or not len(boxes) or array_overlaps(np.array([patch], np.float32), boxes).min() >= mode:
                    return patch

    def _reachable_overlap(self, shape: Tuple[int, int], smallest: float) -> float:
        """No crop of a view (height, width) has a larger IoU with a box of this area: that is at most box over crop."""
        height, width = (self.min_crop_size * side - 1 for side in shape)  # a crop's sides are cut to whole pixels
        return smallest * ROUNDING / (height * width) if height > 0 and width > 0 else math.inf

    def _tries(self, rng: np.random.Generator, shape: Tuple[int, int]) -> Iterator[Patch]:
        """50 crops less those that are too long or empty. Draws are made at once, and used in MMDetection's order."""
        height, width = shape
        least_height, least_width = self.min_crop_size * height, self.min_crop_size * width
        draws = iter(rng.random(4 * TRIES).tolist())
        for _ in range(TRIES):
            new_width = least_width + (width - least_width) * next(draws)
            new_height = least_height + (height - least_height) * next(draws)
            if new_height / new_width < 0.5 or new_height / new_width > 2:
                continue
            # MMDetection's one-argument draw is uniform between 1 and the room there is, which may be less than 1.
            left, top = width - new_width, height - new_height
            left += (1.0 - left) * next(draws)
            top += (1.0 - top) * next(draws)
            patch = (int(left), int(top), int(left + new_width), int(top + new_height))
            if patch[2] > patch[0] and patch[3] > patch[1]:
                yield patch

    def _crop(self, sample: Sample, patch: Patch) -> None:
        x1, y1, x2, y2 = patch
        for field in sample['bbox_fields']:
            boxes = sample[field]
            if not len(boxes):
                continue
            inside = _centre_inside(patch, boxes)
            boxes = boxes[inside]
            if self.bbox_clip_border:
                boxes = np.concatenate([np.maximum(boxes[:, :2], (x1, y1)), np.minimum(boxes[:, 2:], (x2, y2))], axis=1)
            sample[field] = (boxes - (x1, y1, x1, y1)).astype(np.float32)
            if LABELS_OF[field] in sample:
                sample[LABELS_OF[field]] = sample[LABELS_OF[field]][inside]
        plan = sample.plan_to_edit(settle=sample.plan.is_scaled)
        plan.move_window(x1, y1, x2 - x1, y2 - y1)
        sample.set_shape(plan.shape)


def _shared(patch: Patch, box: Sequence[float]) -> float:
    """Area that a patch and a box have in common."""
    width, height = min(patch[2], box[2]) - max(patch[0], box[0]), min(patch[3], box[3]) - max(patch[1], box[1])
    return width * height if width > 0 and height > 0 else 0.0


def _centre_inside(patch: Patch, boxes: np.ndarray) -> np.ndarray:
    """(n,) bool: whether the centre of each box is strictly inside the patch."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centre > patch[:2]) & (centre < patch[2:])).all(axis=1)
