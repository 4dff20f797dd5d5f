"""PASCAL VOC's box metrics, under MMDetection's names."""
from __future__ import annotations

from numbers import Integral
from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np

from mmcv_need.arguments import is_number, listed
from mmcv_need.errors import ConfigError, did_you_mean
from mmdet.core.evaluation.mean_ap import Average, ClassResult, average_precisions, mean_average_precision
from mmdet.core.evaluation.recall import PROPOSAL_NUMS, recalls
from mmdet.core.post_processing.detections import Detections

METRICS = ('mAP', 'recall')


def check_metrics(metric: Union[str, Sequence[str]], where: str = '', proposal_nums: Union[int, Sequence[int]] = PROPOSAL_NUMS,
                  iou_thr: Union[float, Sequence[float]] = 0.5) -> None:
    """These are metrics and options of theirs: worth asking before hours of training.

    Raises:
        ConfigError: one makes no sense; `where` goes first.
    """
    where = f'{where}: ' if where else ''
    for name in listed(metric):
        if name not in METRICS:
            raise ConfigError(f"{where}metric '{name}' is not supported.{did_you_mean(str(name), METRICS)}")
    numbers, thrs = listed(proposal_nums), listed(iou_thr)
    if not numbers or not all(is_number(number, Integral) and number > 0 for number in numbers):
        raise ConfigError(f'{where}proposal_nums: expected numbers of boxes such as (100, 300, 1000), not {proposal_nums!r}')
    if not thrs or not all(is_number(thr) and 0 < thr <= 1 for thr in thrs):
        raise ConfigError(f'{where}iou_thr: expected a number above 0 and up to 1, or a list of them, not {iou_thr!r}')


def metric_names(metric: Union[str, Sequence[str]], proposal_nums: Union[int, Sequence[int]] = PROPOSAL_NUMS,
                 iou_thr: Union[float, Sequence[float]] = 0.5) -> List[str]:
    """What the numbers of these metrics are called, in the order of an evaluation; see `VocMetric.__call__`."""
    numbers, thrs = listed(proposal_nums), listed(iou_thr)
    names = ['mAP', *(f'AP{round(thr * 100):02d}' for thr in thrs)] if 'mAP' in listed(metric) else []
    if 'recall' in listed(metric):
        names += [f'recall@{number}@{thr}' for number in numbers for thr in thrs]
        names += [f'AR@{number}' for number in numbers if len(thrs) > 1]
    return names


class VocMetric:
    """Metrics of boxes, class by class.

    Args:
        class_names: in the order of the labels.
        average: how precision is averaged over recall, area_under_curve or eleven_point_mean (mean_ap.py).
        extent: what a box is wider than x2 - x1; 1 for VOC's pixels.
    """

    def __init__(self, class_names: Sequence[str], average: Average, extent: float = 0):
        self.class_names = class_names
        self.average = average
        self.extent = extent

    def __call__(self, results: Sequence[Detections], truths: Sequence[Mapping[str, np.ndarray]],
                 metric: Union[str, Sequence[str]] = 'mAP', logger: Any = None,
                 proposal_nums: Union[int, Sequence[int]] = PROPOSAL_NUMS,
                 iou_thr: Union[float, Sequence[float]] = 0.5) -> Dict[str, float]:
        """Names and values.

        Args:
            results: one a picture.
            truths: likewise: bboxes, labels, bboxes_ignore, labels_ignore.
            metric: 'mAP' (`mAP`, the mean over thresholds, and `AP50`, rounded to three digits, for a threshold of 0.5),
                'recall' (`recall@100@0.5`; with several thresholds also their mean `AR@100`), or both.
            logger: gets tables.
            proposal_nums: how many boxes of a picture count for the recall, the best.
            iou_thr: one threshold, or several.

        Raises:
            ConfigError: arguments that make no sense.
        """
        check_metrics(metric, '', proposal_nums, iou_thr)
        if len(results) != len(truths):
            raise ValueError(f'{len(results)} results for {len(truths)} pictures')
        values: Dict[str, float] = {}
        if 'mAP' in listed(metric):
            values.update(self._mean_ap(results, truths, listed(iou_thr), logger))
        if 'recall' in listed(metric):
            values.update(self._recall(results, truths, listed(proposal_nums), listed(iou_thr), logger))
        return values

    def _mean_ap(self, results: Sequence[Detections], truths: Sequence[Mapping[str, np.ndarray]], iou_thrs: Sequence[float],
                 logger: Any) -> Dict[str, float]:
        rows = average_precisions(results, truths, len(self.class_names), iou_thrs, self.average, self.extent)
        means = [mean_average_precision(row) for row in rows]
        for thr, row, mean in zip(iou_thrs, rows, means):
            if logger:
                logger.info('AP (%s) at IoU %g', self.average.__name__.replace('_', ' '), thr)
                for line in table_lines(self.class_names, row, mean):
                    logger.info(line)
        return dict(zip(metric_names('mAP', iou_thr=iou_thrs), [sum(means) / len(means), *(round(mean, 3) for mean in means)]))

    def _recall(self, results: Sequence[Detections], truths: Sequence[Mapping[str, np.ndarray]], proposal_nums: Sequence[int],
                iou_thrs: Sequence[float], logger: Any) -> Dict[str, float]:
        table = recalls(results, truths, proposal_nums, iou_thrs, self.extent)
        means = [float(row.mean()) for row in table]  # without a name where there is one threshold
        values = dict(zip(metric_names('recall', proposal_nums, iou_thrs), [*table.ravel().tolist(), *means]))
        if logger:
            for name, value in values.items():
                logger.info('%-16s %6.3f', name, value)
        return values


def table_lines(class_names: Sequence[str], classes: Sequence[ClassResult], mean: float) -> List[str]:
    """Ground truths, detections, recall and AP of each class, and the mean AP."""
    wide = max(len(name) for name in ('class', *class_names))
    lines = [f"{'class':<{wide}} {'gts':>7} {'dets':>7} {'recall':>7} {'ap':>7}"]
    lines += [f'{name:<{wide}} {c.num_gts:>7} {c.num_dets:>7} {c.recall:>7.3f} {c.ap:>7.3f}'
              for name, c in zip(class_names, classes)]
    return [*lines, f"{'mAP':<{wide}} {mean:>31.3f}"]

