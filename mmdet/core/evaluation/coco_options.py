"""What may be asked of COCO's metrics."""
from __future__ import annotations

from numbers import Integral
from typing import List, NamedTuple, Sequence, Union

import numpy as np

from mmcv_need.arguments import is_number, listed
from mmcv_need.errors import ConfigError, did_you_mean
from mmdet.core.evaluation.coco_api import IOU_THRS, find_evaluator
from mmdet.core.evaluation.coco_summary import PRECISIONS, number_names
from mmdet.core.evaluation.recall import PROPOSAL_NUMS

METRICS = ('bbox', 'proposal')


class Choice(NamedTuple):
    """Checked options; see `CocoMetric.__call__`."""
    metrics: List[str]
    proposal_nums: List[int]
    iou_thrs: np.ndarray
    items: List[str]


def metric_names(metric: Union[str, Sequence[str]], proposal_nums: Sequence[int] = PROPOSAL_NUMS,
                 metric_items: Union[str, Sequence[str], None] = None) -> List[str]:
    """What the numbers of these metrics are called, in the order of an evaluation; see `CocoMetric.__call__`."""
    items, names = listed([] if metric_items is None else metric_items), number_names(listed(proposal_nums))
    found: List[str] = []
    for name in listed(metric):
        found += [f'bbox_{item}' for item in items or PRECISIONS] if name == 'bbox' else items or names[len(PRECISIONS):]
    return found


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
    metrics = listed(metric)
    for name in metrics:
        if name == 'proposal_fast':
            raise ConfigError(f"{where}metric 'proposal_fast' is not supported; use 'proposal'")
        if name not in METRICS:
            raise ConfigError(f"{where}metric '{name}' is not supported.{did_you_mean(str(name), METRICS)}")
    limits = listed(proposal_nums)
    if not (limits and all(is_number(limit, Integral) and limit > 0 for limit in limits) and limits == sorted(set(limits))):
        raise ConfigError(f'{where}proposal_nums: expected ascending numbers of detections such as (100, 300, 1000), '
                          f'not {proposal_nums!r}')
    thresholds = listed(IOU_THRS if iou_thrs is None else iou_thrs)
    if not thresholds or not all(is_number(threshold) and 0 < threshold <= 1 for threshold in thresholds):
        raise ConfigError(f'{where}iou_thrs: expected numbers above 0 and up to 1 such as [0.5, 0.75], not {iou_thrs!r}')
    items = listed([] if metric_items is None else metric_items)
    for item in items:
        if item not in number_names(limits):
            raise ConfigError(f"{where}metric_items: no metric has a number '{item}'."
                              f'{did_you_mean(str(item), number_names(limits))}')
    return Choice(metrics, limits, np.array(thresholds, dtype=np.float64), items)
