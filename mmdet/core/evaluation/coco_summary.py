"""From precision and recall to single numbers: MMDetection's, COCO's own twelve, and those of each class."""
from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np

from mmdet.core.evaluation.coco_api import PrecisionRecall

AREAS = {'': 0, '_s': 1, '_m': 2, '_l': 3}  # COCO's order: all, small (< 32^2), medium, large (>= 96^2 pixels)
SIZES = ('_s', '_m', '_l')
PRECISIONS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
OFFICIAL_MAX_DETS = (1, 10, 100)
COLUMN_GROUPS = 3  # of the table of classes


def average_precision(found: PrecisionRecall, area: str = '', max_dets: int = 100, iou: Optional[float] = None) -> float:
    """Mean over thresholds (or at one of them), recall levels and classes of what there is to find; -1 if nothing is.

    -1 as well if `iou` is not one of the thresholds.
    """
    chosen = slice(None) if iou is None else found.iou_thrs == iou
    return _mean(found.precision[chosen, :, :, AREAS[area], found.max_dets.index(max_dets)])


def average_recall(found: PrecisionRecall, area: str = '', max_dets: int = 100) -> float:
    """Mean over thresholds and classes of what there is to find; -1 if nothing is."""
    return _mean(found.recall[:, :, AREAS[area], found.max_dets.index(max_dets)])


def class_average_precision(found: PrecisionRecall, max_dets: int = 100) -> List[float]:
    """mAP of each class; -1 where the pictures have none."""
    limit = found.max_dets.index(max_dets)
    return [_mean(found.precision[:, :, k, 0, limit]) for k in range(found.precision.shape[2])]


def _mean(values: np.ndarray) -> float:
    present = values[values > -1]
    return float(present.mean()) if present.size else -1.0


def number_names(proposal_nums: Sequence[int]) -> List[str]:
    """mAP, mAP_50, mAP_75, mAP_s, mAP_m, mAP_l, AR@100, AR@300, AR@1000, AR_s@1000, AR_m@1000, AR_l@1000."""
    last = proposal_nums[-1]
    return [*PRECISIONS, *(f'AR@{limit}' for limit in proposal_nums), *(f'AR{area}@{last}' for area in SIZES)]


def mmdet_numbers(found: PrecisionRecall, proposal_nums: Sequence[int]) -> Dict[str, float]:
    """MMDetection's names and numbers: mAP counts the best 100 of a picture and class, the others the last of `proposal_nums`.

    Recalls count as their names say. Where classes were not told apart, limits are for a picture.
    """
    last = proposal_nums[-1]
    precisions = [average_precision(found), average_precision(found, max_dets=last, iou=0.5),
                  average_precision(found, max_dets=last, iou=0.75),
                  *(average_precision(found, area, last) for area in SIZES)]
    recalls = [*(average_recall(found, '', limit) for limit in proposal_nums),
               *(average_recall(found, area, last) for area in SIZES)]
    return dict(zip(number_names(proposal_nums), precisions + recalls))


def official_numbers(found: PrecisionRecall) -> List[float]:
    """COCO's own twelve, in COCO's order."""
    return [average_precision(found), average_precision(found, iou=0.5), average_precision(found, iou=0.75),
            *(average_precision(found, area) for area in SIZES),
            *(average_recall(found, '', limit) for limit in OFFICIAL_MAX_DETS),
            *(average_recall(found, area) for area in SIZES)]


def official_lines(found: PrecisionRecall) -> List[str]:
    """COCO's twelve numbers in COCO's words."""
    every = f'{found.iou_thrs[0]:.2f}:{found.iou_thrs[-1]:.2f}'
    precisions = [(every, 'all'), ('0.50', 'all'), ('0.75', 'all'), *((every, area) for area in ('small', 'medium', 'large'))]
    recalls = [*(('all', limit) for limit in OFFICIAL_MAX_DETS), *((area, 100) for area in ('small', 'medium', 'large'))]
    rows = [*(('Precision', 'AP', iou, area, 100) for iou, area in precisions),
            *(('Recall', 'AR', every, area, limit) for area, limit in recalls)]
    return [f' Average {title:<9}  ({short}) @[ IoU={iou:<9} | area={area:>6} | maxDets={limit:>3} ] = {value:.3f}'
            for (title, short, iou, area, limit), value in zip(rows, official_numbers(found))]


def proposal_lines(numbers: Mapping[str, float]) -> List[str]:
    """Recall of proposals, a line each, of what `mmdet_numbers` gives."""
    return [f' Average Recall of proposals  {name:<10} = {value:.3f}' for name, value in numbers.items()
            if name.startswith('AR')]


def class_table(names: Sequence[str], values: Sequence[float], counts: Sequence[int]) -> List[str]:
    """Lines of a table of classes: mAP, and how many boxes there are to find; `-` for the mAP of a class that has none."""
    cells = [(name, '-' if value == -1 else f'{value:.3f}', str(count)) for name, value, count in zip(names, values, counts)]
    header = ('category', 'AP', 'boxes')
    widths = [max(map(len, column)) for column in zip(header, *cells)]
    groups = min(COLUMN_GROUPS, len(cells))
    rows = [[header] * groups, *(cells[i:i + groups] for i in range(0, len(cells), groups))]
    lines = [' | '.join(_cell(cell, widths) for cell in row) for row in rows]
    return [lines[0], '-+-'.join(['-' * len(_cell(header, widths))] * groups), *lines[1:]]


def _cell(words: Sequence[str], widths: Sequence[int]) -> str:
    return f'{words[0]:<{widths[0]}}  {words[1]:>{widths[1]}}  {words[2]:>{widths[2]}}'
