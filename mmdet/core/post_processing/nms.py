"""Exact greedy non-maximum suppression, class by class, on the host.

Candidates of all classes are visited once, in order of score; that keeps what per-class suppression keeps, and may stop
as soon as enough are kept. Classes are compared as numbers: shifting boxes apart by class, the usual trick, loses bits.
"""
from __future__ import annotations

from typing import Callable, Optional

import numpy as np

from mmcv_need.errors import ConfigError
from mmcv_need.registry import Registry

NMS = Registry('NMS')  # callables (bboxes, scores, labels, max_num) -> indices of what is kept, best first

EPS = 1e-6


@NMS.register_module('nms')
class GreedyNMS:
    """Keeps the best box and drops those of its class that overlap it, again and again.

    Args:
        iou_threshold: boxes with a larger IoU are dropped.
        class_agnostic: whether boxes suppress boxes of other classes too.
    """

    def __init__(self, iou_threshold: float = 0.5, class_agnostic: bool = False):
        if not 0 <= iou_threshold <= 1:
            raise ConfigError(f'iou_threshold {iou_threshold} is not in 0..1')
        self.iou_threshold = iou_threshold
        self.class_agnostic = class_agnostic

    def __call__(self, bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray,
                 max_num: Optional[int] = None) -> np.ndarray:
        """Indices kept, best score first.

        Args:
            bboxes: (n, 4) float32.
            scores: (n,) float32; equal scores keep their order.
            labels: (n,) int.
            max_num: stop at this many; None keeps on.
        """
        order = np.argsort(-scores, kind='stable')
        groups = None if self.class_agnostic else labels[order]
        return order[greedy_in_order(bboxes[order], groups, self.iou_threshold, max_num)]


def greedy_in_order(bboxes: np.ndarray, labels: Optional[np.ndarray], threshold: float,
                    max_num: Optional[int]) -> np.ndarray:
    """Positions kept of boxes that are sorted by score; each is compared with the boxes kept so far, of its class."""
    n = len(bboxes)
    limit = n if max_num is None else min(max_num, n)
    areas = (bboxes[:, 2] - bboxes[:, 0]) * (bboxes[:, 3] - bboxes[:, 1])
    kept = np.empty(limit, dtype=np.int64)
    alive = np.ones(n, dtype=bool)
    count = position = 0
    while count < limit and position < n:
        ahead = alive[position:].argmax()  # the next survivor, or 0 if there is none
        position += int(ahead)
        if not alive[position]:
            break
        kept[count] = position
        count += 1
        rest = slice(position + 1, n)
        candidates = alive[rest] if labels is None else alive[rest] & (labels[rest] == labels[position])
        others = np.flatnonzero(candidates) + position + 1
        alive[others[_iou(bboxes[position], areas[position], bboxes[others], areas[others]) > threshold]] = False
        position += 1
    return kept[:count]


def _iou(bbox: np.ndarray, area: np.ndarray, others: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """IoU of one box with (m, 4) others: (m,)."""
    width = np.minimum(bbox[2], others[:, 2]) - np.maximum(bbox[0], others[:, 0])
    height = np.minimum(bbox[3], others[:, 3]) - np.maximum(bbox[1], others[:, 1])
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    return overlap / np.maximum(area + areas - overlap, np.float32(EPS))


SelectFunction = Callable[[np.ndarray, np.ndarray, np.ndarray, Optional[int]], np.ndarray]
