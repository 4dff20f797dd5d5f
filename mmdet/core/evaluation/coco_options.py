"""What may be asked of COCO's metrics."""
from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Iterable, List, NamedTuple, Sequence, Union

import numpy as np

from mmcv_need.errors import ConfigError, did_you_mean
from mmdet.core.evaluation.coco_api import IOU_THRS, find_evaluator
from mmdet.core.evaluation.coco_summary import number_names

METRICS = ('bbox', 'proposal')
PROPOSAL_NUMS = (100, 300, 1000)


class Choice(NamedTuple):
    """Checked options; see `CocoMetric.__call__`."""
    metrics: List[str]
    proposal_nums: List[int]
    iou_thrs: np.ndarray
    items: List[str]


def check_metrics(metric: Union[str, Sequence[str]], where: str = '', proposal_nums: Sequence[int] = PROPOSAL_NUMS,
                  iou_thrs: Union[float, Sequence[float], None] = None,
                  metric_items: Union[str, Sequence[str], None] = None) -> Choice:
    """These are metrics and options of theirs, and there is a COCO evaluator: worth asking before hours of training.

    Raises:
        ConfigError: one makes no sense; `where` goes first.
        UserError: there is no evaluator.
    """
    find_evaluator()
    where = f'{where}: ' if where else ''
    metrics = _listed(metric)
    for name in metrics:
        if name == 'proposal_fast':
            raise ConfigError(f"{where}metric 'proposal_fast' is not supported; use 'proposal'")
        if name not in METRICS:
            raise ConfigError(f"{where}metric '{name}' is not supported.{did_you_mean(str(name), METRICS)}")
    limits = _listed(proposal_nums)
    if not limits or not _all_are(Integral, limits) or limits[0] < 1 or limits != sorted(set(limits)):
        raise ConfigError(f'{where}proposal_nums: expected ascending numbers of detections such as (100, 300, 1000), '
                          f'not {proposal_nums!r}')
    thresholds = _listed(IOU_THRS if iou_thrs is None else iou_thrs)
    if not thresholds or not _all_are(Real, thresholds) or not all(0 < threshold <= 1 for threshold in thresholds):
        raise ConfigError(f'{where}iou_thrs: expected numbers above 0 and up to 1 such as [0.5, 0.75], not {iou_thrs!r}')
    items = _listed([] if metric_items is None else metric_items)
    for item in items:
        if item not in number_names(limits):
            raise ConfigError(f"{where}metric_items: no metric has a number '{item}'."
                              f'{did_you_mean(str(item), number_names(limits))}')
    return Choice(metrics, limits, np.array(thresholds, dtype=np.float64), items)


def _listed(value: Any) -> List[Any]:
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]


def _all_are(kind: type, values: Iterable[Any]) -> bool:
    return all(isinstance(value, kind) and not isinstance(value, bool) for value in values)
