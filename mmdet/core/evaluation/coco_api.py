"""Which COCO evaluator is here: hotcoco (fast, the same numbers), else faster-coco-eval, else pycocotools."""
from __future__ import annotations

import contextlib
import importlib
import io
from importlib import metadata
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

import numpy as np

from mmcv_need.errors import UserError
from mmdet.core.post_processing.detections import Detections

MODULES = {'hotcoco': 'hotcoco', 'faster_coco_eval': 'faster_coco_eval', 'pycocotools': 'pycocotools.coco'}
IOU_THRS = np.linspace(0.5, 0.95, 10)  # COCO's, to the last bit


class Evaluator(NamedTuple):
    """Its name and version, and its two classes."""
    name: str
    coco: Any
    coco_eval: Any


def find_evaluator(name: str = '') -> Evaluator:
    """The named evaluator, or the first that imports.

    Raises:
        UserError: none does.
    """
    for package, module_name in MODULES.items():
        if name and package != name:
            continue
        try:
            module = importlib.import_module(module_name)
            eval_class = (importlib.import_module('pycocotools.cocoeval').COCOeval if package == 'pycocotools'
                          else module.COCOeval_faster if package == 'faster_coco_eval' else module.COCOeval)
        except Exception:  # built for another numpy, it may raise anything; the next one may be sound
            continue
        return Evaluator(f'{package} {_version(package)}'.strip(), module.COCO, eval_class)
    wanted = ', '.join([name] if name else MODULES)
    raise UserError(f'no COCO evaluator is installed ({wanted}). Run: pip install hotcoco pycocotools')


def _version(package: str) -> str:
    try:
        return metadata.version(package.replace('_', '-'))
    except metadata.PackageNotFoundError:  # on the path, but not installed
        return ''


class PrecisionRecall(NamedTuple):
    """What an evaluator found; -1 where there is nothing to find.

    Sizes:  T IoU thresholds,  R = 101 recall levels 0.00, 0.01, ... 1.00,  K categories,  A = 4 areas (all, small, medium,
    large),  M limits of detections.

    Fields:
        precision: (T, R, K, A, M).
        recall: (T, K, A, M).
        iou_thrs: (T,).
        max_dets: M limits, ascending.
    """
    precision: np.ndarray
    recall: np.ndarray
    iou_thrs: np.ndarray
    max_dets: List[int]


def match(evaluator: Evaluator, ground_truth: Dict[str, Any], rows: np.ndarray, cat_ids: Sequence[int],
          max_dets: Iterable[int], iou_thrs: Sequence[float] = IOU_THRS, use_cats: bool = True) -> PrecisionRecall:
    """Precision and recall of detections.

    Args:
        evaluator: who computes them.
        ground_truth: content of a COCO annotation file; ids of annotations start at 1, since COCO's code takes a match
            with id 0 for a miss.
        rows: (n, 7) float64 image id, x, y, width, height, score, category id; n >= 1.
        cat_ids: categories to evaluate; K of the result follows their order.
        max_dets: limits of detections a picture and category.
        iou_thrs: IoU from which a detection is a hit, in 0..1.
        use_cats: False matches whatever the category, for proposals; limits are for a picture then, and K = 1.
    """
    limits = sorted(set(max_dets))
    with contextlib.redirect_stdout(io.StringIO()):
        if evaluator.name.startswith('pycocotools'):
            truth = evaluator.coco()
            truth.dataset = ground_truth
            truth.createIndex()
        else:
            truth = evaluator.coco(ground_truth)
        run = evaluator.coco_eval(truth, truth.loadRes(rows), 'bbox')
        run.params.catIds = sorted(cat_ids)  # pycocotools and faster-coco-eval sort them, hotcoco does not
        run.params.imgIds = [image['id'] for image in ground_truth['images']]
        run.params.maxDets = limits
        run.params.iouThrs = np.asarray(iou_thrs, dtype=np.float64)
        run.params.useCats = int(use_cats)
        run.evaluate()
        run.accumulate()
    precision, recall = np.asarray(run.eval['precision']), np.asarray(run.eval['recall'])
    if use_cats:
        given = np.argsort(np.argsort(cat_ids))  # place of each category among the sorted ones
        precision, recall = precision[:, :, given], recall[:, given]
    return PrecisionRecall(precision, recall, np.asarray(iou_thrs, dtype=np.float64), limits)


def result_rows(results: Sequence[Detections], image_ids: np.ndarray, cat_ids: np.ndarray) -> np.ndarray:
    """Detections of pictures as (n, 7) float64 image id, x, y, width, height, score, category id: what COCO calls results.

    Within a picture they are in the order of the classes, as MMDetection writes them.
    """
    parts = [np.zeros((0, 7))]
    for image_id, found in zip(image_ids, results):
        order = np.argsort(found.labels, kind='stable')
        boxes = found.bboxes[order].astype(np.float64)  # before the subtraction: pycocotools computes with doubles
        parts.append(np.column_stack([np.full(len(boxes), image_id), boxes[:, :2], boxes[:, 2:] - boxes[:, :2],
                                      found.scores[order], cat_ids[found.labels[order]]]))
    return np.concatenate(parts)
