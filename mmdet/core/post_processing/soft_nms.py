"""Soft non-maximum suppression: boxes that overlap a better one of their class lose score instead of being dropped.

Source: Bodla et al., "Soft-NMS -- Improving Object Detection With One Line of Code", ICCV 2017; defaults are MMCV's.
"""
from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import numpy as np

from mmcv_need.errors import ConfigError, did_you_mean
from mmdet.core.bbox.iou import array_areas
from mmdet.core.post_processing.nms import NMS, iou_with, read_iou_threshold, read_offset

METHODS = ('naive', 'linear', 'gaussian')


@NMS.register_module('soft_nms')
class SoftNMS:
    """Takes the best box and lowers the scores of those of its class that overlap it, again and again.

    The best of all classes is taken at each step, which is the same as class after class, and may stop early.

    Args:
        iou_threshold: boxes with this IoU or more lose score ('naive', 'linear'); 0.3 if neither this nor `iou_thr` is given.
        sigma: width of 'gaussian', which touches all boxes.
        min_score: boxes whose score falls below this are dropped.
        method: a score is multiplied by 0 ('naive'), 1 - IoU ('linear'), or exp(-IoU^2 / sigma) ('gaussian').
        class_agnostic: whether boxes of other classes lose score too.
        offset, split_thr, iou_thr: as for `nms`.
    """

    def __init__(self, iou_threshold: Optional[float] = None, sigma: float = 0.5, min_score: float = 1e-3,
                 method: str = 'linear', class_agnostic: bool = False, *, offset: int = 0, split_thr: int = 10000,
                 iou_thr: Optional[float] = None):
        if method not in METHODS:
            raise ConfigError(f'no method of soft_nms is called {method!r}.{did_you_mean(str(method), METHODS)}')
        if sigma <= 0 or min_score < 0:
            raise ConfigError(f'expected sigma > 0 and min_score >= 0, not {sigma} and {min_score}')
        self.iou_threshold = read_iou_threshold(iou_threshold, iou_thr, default=0.3)
        self.sigma = sigma
        self.min_score = min_score
        self.method = method
        self.class_agnostic = class_agnostic
        self.offset = read_offset(offset)

    def __call__(self, bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray,
                 max_num: Optional[int] = None) -> Tuple[np.ndarray, np.ndarray]:
        """Indices kept, best first, and their lowered scores.

        Args:
            bboxes: (n, 4) float32.
            scores: (n,) float32, >= 0; of equal ones the first is taken first.
            labels: (n,) int.
            max_num: stop at this many; None keeps on.
        """
        groups = np.zeros_like(labels) if self.class_agnostic else labels
        lowest = np.float32(self.min_score)
        waiting = np.where(scores >= lowest, scores, -1).astype(np.float32)  # -1: taken or dropped
        members: Dict[int, np.ndarray] = {group: np.flatnonzero((groups == group) & (waiting >= 0))
                                          for group in np.unique(groups).tolist()}
        areas = array_areas(bboxes, self.offset)
        limit = len(scores) if max_num is None else min(max_num, len(scores))
        kept: List[int] = []
        lowered: List[np.float32] = []
        while len(kept) < limit:
            best = int(waiting.argmax())
            if waiting[best] < 0:
                break
            kept.append(best)
            lowered.append(waiting[best])
            group = int(groups[best])
            others = members[group][members[group] != best]
            left = waiting[others] * self._weights(iou_with(best, others, bboxes, areas, self.offset))
            enough = left >= lowest
            waiting[best] = -1
            waiting[others] = np.where(enough, left, -1)
            members[group] = others[enough]
        return np.array(kept, dtype=np.int64), np.array(lowered, dtype=np.float32)

    def _weights(self, iou: np.ndarray) -> np.ndarray:
        """(m,) what scores are multiplied by, from (m,) IoUs with the box that was taken."""
        if self.method == 'gaussian':
            return np.exp(-iou * iou / np.float32(self.sigma))
        weights = np.zeros_like(iou) if self.method == 'naive' else 1 - iou
        return np.where(iou >= np.float32(self.iou_threshold), weights, np.float32(1))
