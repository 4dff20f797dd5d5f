"""Exact greedy non-maximum suppression, class by class, on the host.

Candidates of all classes are visited once, in order of score; that keeps what per-class suppression keeps, and may stop
as soon as enough are kept. Classes are compared as numbers: shifting boxes apart by class, the usual trick, loses bits.
"""
from __future__ import annotations

from typing import Callable, List, Optional, Tuple, Union

import numpy as np

from mmcv_need.errors import ConfigError
from mmcv_need.registry import Registry
from mmdet.core.bbox.iou import array_areas

# Callables (bboxes, scores, labels, max_num) -> indices of what is kept, best first, and its scores (soft-NMS lowers them).
NMS = Registry('NMS')
SelectFunction = Callable[[np.ndarray, np.ndarray, np.ndarray, Optional[int]], Tuple[np.ndarray, np.ndarray]]

SMALLEST_UNION = np.finfo(np.float32).tiny  # two boxes without area have IoU 0, not 0 / 0


@NMS.register_module('nms')
class GreedyNMS:
    """Keeps the best box and drops those of its class that overlap it, again and again.

    Args:
        iou_threshold: boxes with a larger IoU are dropped (MMCV 1.2.7 on the CPU dropped equal ones too).
        class_agnostic: whether boxes suppress boxes of other classes too.
        offset: 0, or 1 where a box from pixel 3 to pixel 5 is 3 wide, as before MMDetection 2.
        score_threshold: candidates score more than this; 0 takes all.
        max_num: boxes kept of a picture, the best; 0 or less keeps all.
        split_thr: accepted for MMDetection's configs, where more candidates than this are suppressed one class after the
            other; here the result is that at any number.
        iou_thr: MMDetection's old name of `iou_threshold`.
    """

    def __init__(self, iou_threshold: Optional[float] = None, class_agnostic: bool = False, *, offset: int = 0,
                 score_threshold: float = 0, max_num: int = -1, split_thr: int = 10000, iou_thr: Optional[float] = None):
        self.iou_threshold = read_iou_threshold(iou_threshold, iou_thr)
        self.class_agnostic = class_agnostic
        self.offset = read_offset(offset)
        self.score_threshold = score_threshold
        self.max_num = max_num if max_num > 0 else None

    def __call__(self, bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray,
                 max_num: Optional[int] = None) -> Tuple[np.ndarray, np.ndarray]:
        """Indices kept, best score first, and their scores.

        Args:
            bboxes: (n, 4) float32.
            scores: (n,) float32; equal scores keep their order.
            labels: (n,) int.
            max_num: stop at this many; None keeps on.
        """
        order = np.argsort(-scores, kind='stable')
        if self.score_threshold > 0:
            order = order[scores[order] > np.float32(self.score_threshold)]
        groups = None if self.class_agnostic else labels[order]
        limit = min((number for number in (max_num, self.max_num) if number is not None), default=None)
        kept = order[greedy_in_order(bboxes[order], groups, self.iou_threshold, limit, self.offset)]
        return kept, scores[kept]


def read_iou_threshold(iou_threshold: Optional[float], iou_thr: Optional[float], default: Optional[float] = None) -> float:
    """The threshold under its present or its old name.

    Raises:
        ConfigError: it is under both, under neither and there is no default, or outside 0..1.
    """
    if iou_threshold is not None and iou_thr is not None:
        raise ConfigError('iou_thr is the old name of iou_threshold; give one of them')
    given = [value for value in (iou_threshold, iou_thr, default) if value is not None]
    if not given:
        raise ConfigError('needs iou_threshold, such as 0.45')
    threshold = given[0]
    if not 0 <= threshold <= 1:
        raise ConfigError(f'iou_threshold {threshold} is not in 0..1')
    return threshold


def read_offset(offset: int) -> int:
    if offset not in (0, 1):
        raise ConfigError(f'offset {offset}: expected 0 (boxes are x2 - x1 wide) or 1 (x2 - x1 + 1)')
    return offset


def keep_all(bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray,
             max_num: Optional[int] = None) -> Tuple[np.ndarray, np.ndarray]:
    """No suppression: all candidates in their order."""
    return np.arange(len(scores)), scores


@np.errstate(over='ignore', invalid='ignore')  # boxes of a network that has diverged overlap nothing
def greedy_in_order(bboxes: np.ndarray, labels: Optional[np.ndarray], threshold: float, max_num: Optional[int],
                    offset: int = 0) -> np.ndarray:
    """Positions kept of boxes that are sorted by score; each drops those after it, of its class, that overlap it."""
    n = len(bboxes)
    limit = n if max_num is None else min(max_num, n)
    if not limit:
        return np.zeros(0, dtype=np.int64)
    by_class = np.arange(n) if labels is None else np.argsort(labels, kind='stable')  # those of a class side by side
    starts = [0] if labels is None else np.flatnonzero(np.diff(labels[by_class], prepend=-1))
    end_of = np.repeat([*starts[1:], n], np.diff([*starts, n])).tolist()
    place = np.empty(n, dtype=np.int64)
    place[by_class] = np.arange(n)
    bboxes = bboxes[by_class]
    areas, dropped = array_areas(bboxes, offset), np.zeros(n, dtype=bool)
    kept: List[int] = []
    for position, here in enumerate(place.tolist()):
        if len(kept) == limit:
            break
        if not dropped[here]:
            kept.append(position)
            rest = slice(here + 1, end_of[here])
            if rest.start < rest.stop:
                dropped[rest] |= iou_with(here, rest, bboxes, areas, offset) > threshold
    return np.array(kept, dtype=np.int64)


def iou_with(one: int, others: Union[np.ndarray, slice], bboxes: np.ndarray, areas: np.ndarray, offset: int) -> np.ndarray:
    """(m,) IoU of one box with m others, given by their indices."""
    x1, y1, x2, y2 = bboxes[one]
    rest = bboxes[others]
    width = np.minimum(x2, rest[:, 2]) - np.maximum(x1, rest[:, 0])
    height = np.minimum(y2, rest[:, 3]) - np.maximum(y1, rest[:, 1])
    if offset:
        width, height = width + np.float32(offset), height + np.float32(offset)
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    return overlap / np.maximum(areas[one] + areas[others] - overlap, SMALLEST_UNION)
