"""Average precision as PASCAL VOC defines it.

Source: Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 2010, sec. 4.2; details and numbers are
those of MMDetection's eval_map.

Sizes:  n detections and G ground truths of one class in all pictures.
"""
from __future__ import annotations

from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from mmdet.core.bbox.iou import array_overlaps
from mmdet.core.post_processing.detections import Detections

LEVELS = np.arange(11) * 0.1  # of recall; 0.30000000000000004 is one of them, in MMDetection too, so a recall of 3/10 misses it
TINY = np.finfo(np.float32).eps  # least divisor
Average = Callable[[np.ndarray, np.ndarray], float]


class ClassResult(NamedTuple):
    """One class at one IoU threshold. `ap` says nothing where there is no ground truth."""
    num_gts: int
    num_dets: int
    recall: float
    ap: float


def area_under_curve(recall: np.ndarray, precision: np.ndarray) -> float:
    """Area under the curve, made to fall only: VOC's AP since 2010. Both (n,), recall rising."""
    recall = np.concatenate([[0], recall, [1]])
    precision = np.concatenate([[0], precision, [0]])
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * best_from_here[1:]))


def eleven_point_mean(recall: np.ndarray, precision: np.ndarray) -> float:
    """Mean of the best precision at recall 0, 0.1, ... 1 or more: VOC 2007's AP. Both (n,)."""
    return float(np.mean([precision[recall >= level].max(initial=0) for level in LEVELS]))


def average_precisions(results: Sequence[Detections], truths: Sequence[Mapping[str, np.ndarray]], num_classes: int,
                       iou_thrs: Sequence[float], average: Average, extent: float = 0) -> List[List[ClassResult]]:
    """Every class at every threshold.

    Args:
        results: of each picture.
        truths: of each picture bboxes, labels, bboxes_ignore, labels_ignore.
        num_classes: labels are 0..num_classes-1.
        iou_thrs: a detection that overlaps a ground truth so much has found it.
        average: area_under_curve or eleven_point_mean.
        extent: see `array_overlaps` (core/bbox/iou.py).

    Returns:
        For each threshold one result a class.
    """
    found = _flat([{'bboxes': r.bboxes, 'scores': r.scores, 'labels': r.labels} for r in results])
    wanted = _flat([{'bboxes': t['bboxes'], 'labels': t['labels']} for t in truths])
    ignored = _flat([{'bboxes': t['bboxes_ignore'], 'labels': t['labels_ignore']} for t in truths])
    by_class = []
    for label in range(num_classes):
        dets, gts, rest = (_pick(columns, columns['labels'] == label) for columns in (found, wanted, ignored))
        # of ground truths that overlap equally the wanted one counts: they go first
        targets = {key: np.concatenate([gts[key], rest[key]]) for key in ('pictures', 'bboxes')}
        dets = _pick(dets, np.argsort(-dets['scores'], kind='stable'))
        best, target = best_targets(dets, targets, extent)
        by_class.append([_class_result(best >= thr, target, len(gts['bboxes']), average) for thr in iou_thrs])
    return [list(row) for row in zip(*by_class)]


def mean_average_precision(classes: Sequence[ClassResult]) -> float:
    """Mean over the classes that there are ground truths of; 0 without any."""
    return float(np.mean([c.ap for c in classes if c.num_gts > 0] or [0.0]))


def best_targets(dets: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray],
                 extent: float) -> Tuple[np.ndarray, np.ndarray]:
    """(n,) IoU of each detection with the ground truth of its picture that it overlaps most, and (n,) which one that is.

    Where a picture has none, IoU is -1.
    """
    best, target = np.full(len(dets['pictures']), -1, np.float32), np.zeros(len(dets['pictures']), np.int64)
    rows_of, columns_of = _places(dets['pictures']), _places(targets['pictures'])
    for picture in rows_of.keys() & columns_of.keys():
        rows, columns = rows_of[picture], columns_of[picture]
        overlaps = array_overlaps(dets['bboxes'][rows], targets['bboxes'][columns], extent)
        best[rows], target[rows] = overlaps.max(axis=1), columns[overlaps.argmax(axis=1)]
    return best, target


def _class_result(above: np.ndarray, target: np.ndarray, num_gts: int, average: Average) -> ClassResult:
    """`above`, `target`: of detections by falling score; targets from `num_gts` on are ignored."""
    on_wanted = np.flatnonzero(above & (target < num_gts))
    hit = np.zeros(len(above), dtype=bool)
    hit[on_wanted[np.unique(target[on_wanted], return_index=True)[1]]] = True  # the first detection of each
    wrong = ~hit & ~(above & (target >= num_gts))
    hits, wrongs = np.cumsum(hit), np.cumsum(wrong)
    recall, precision = hits / max(num_gts, TINY), hits / np.maximum(hits + wrongs, TINY)
    return ClassResult(num_gts, len(above), float(recall[-1]) if len(recall) else 0.0, average(recall, precision))


def _flat(pictures: Sequence[Mapping[str, np.ndarray]]) -> Dict[str, np.ndarray]:
    """Columns of all pictures, one after another, and to which picture each row belongs."""
    columns = {key: np.concatenate([picture[key] for picture in pictures]) for key in pictures[0]}
    columns['pictures'] = np.repeat(np.arange(len(pictures)), [len(picture['labels']) for picture in pictures])
    return columns


def _pick(columns: Mapping[str, np.ndarray], rows: np.ndarray) -> Dict[str, np.ndarray]:
    return {key: column[rows] for key, column in columns.items()}


def _places(pictures: np.ndarray) -> Dict[int, np.ndarray]:
    """Rows of each picture, in their order."""
    order = np.argsort(pictures, kind='stable')
    names, first = np.unique(pictures[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, first[1:])))
