"""Which COCO evaluator is here: hotcoco (fast, the same numbers), else faster-coco-eval, else pycocotools."""
from __future__ import annotations

import contextlib
import importlib
import io
from typing import Any, Dict, NamedTuple, Sequence

import numpy as np

from mmcv_need.errors import UserError

MODULES = {'hotcoco': 'hotcoco', 'faster_coco_eval': 'faster_coco_eval', 'pycocotools': 'pycocotools.coco'}


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
        version = getattr(importlib.import_module(package), '__version__', '')
        return Evaluator(f'{package} {version}'.strip(), module.COCO, eval_class)
    wanted = ', '.join([name] if name else MODULES)
    raise UserError(f'no COCO evaluator is installed ({wanted}). Run: pip install hotcoco pycocotools')


def match(evaluator: Evaluator, ground_truth: Dict[str, Any], rows: np.ndarray, cat_ids: Sequence[int],
          max_dets: Sequence[int], use_cats: bool = True) -> Dict[str, np.ndarray]:
    """Precision and recall of detections.

    Args:
        evaluator: who computes them.
        ground_truth: content of a COCO annotation file; ids of annotations start at 1, since COCO's code takes a match
            with id 0 for a miss.
        rows: (n, 7) float64 image id, x, y, width, height, score, category id; n >= 1.
        cat_ids: categories to evaluate.
        max_dets: ascending limits of detections a picture.
        use_cats: False matches whatever the category, for proposals.

    Returns:
        precision (T, R, K, A, M) and recall (T, K, A, M): IoU thresholds, recall levels, categories, areas, limits.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        if evaluator.name.startswith('pycocotools'):
            truth = evaluator.coco()
            truth.dataset = ground_truth
            truth.createIndex()
        else:
            truth = evaluator.coco(ground_truth)
        run = evaluator.coco_eval(truth, truth.loadRes(rows), 'bbox')
        run.params.catIds = list(cat_ids)
        run.params.imgIds = [image['id'] for image in ground_truth['images']]
        run.params.maxDets = list(max_dets)
        run.params.useCats = int(use_cats)
        run.evaluate()
        run.accumulate()
    return {key: np.asarray(run.eval[key]) for key in ('precision', 'recall')}
