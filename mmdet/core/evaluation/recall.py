"""Recall of the best boxes of each picture, whatever their class."""
from __future__ import annotations

from typing import Mapping, Sequence

import numpy as np

from mmdet.core.bbox.iou import array_overlaps
from mmdet.core.post_processing.detections import Detections

PROPOSAL_NUMS = (100, 300, 1000)  # MMDetection's limits of boxes


def recalls(results: Sequence[Detections], truths: Sequence[Mapping[str, np.ndarray]], proposal_nums: Sequence[int],
            iou_thrs: Sequence[float], extent: float = 0) -> np.ndarray:
    """Share of ground truths that get a box of their own, as MMDetection's eval_recalls counts it.

    Args:
        results: of each picture.
        truths: of each picture `bboxes` (G, 4); ignored ones do not take part.
        proposal_nums: how many of a picture's boxes count, the best.
        iou_thrs: least overlaps.
        extent: see `array_overlaps` (core/bbox/iou.py).

    Returns:
        (numbers, thresholds); 0 where there is nothing to find.
    """
    pairs = []
    for found, truth in zip(results, truths):
        order = np.argsort(-found.scores, kind='stable')[:max(proposal_nums)]
        pairs.append(array_overlaps(truth['bboxes'], found.bboxes[order], extent))
    matched = [np.concatenate([assigned_overlaps(overlaps[:, :number]) for overlaps in pairs]) for number in proposal_nums]
    return np.array([[float(np.mean(values >= thr)) if len(values) else 0.0 for thr in iou_thrs] for values in matched])


def assigned_overlaps(overlaps: np.ndarray) -> np.ndarray:
    """Pairs up ground truths and boxes, the largest overlap first, each once.

    Args:
        overlaps: (G, n).

    Returns:
        (G,) overlaps of the pairs; -1 where the boxes ran out.
    """
    free = overlaps.copy()
    found = np.full(len(free), -1, dtype=free.dtype)
    for i in range(min(free.shape)):
        gt, box = np.unravel_index(free.argmax(), free.shape)
        found[i] = free[gt, box]
        free[gt], free[:, box] = -1, -1
    return found
