"""Datasets with COCO annotations."""
from __future__ import annotations

import os
import warnings
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from mmcv_need.arguments import listed
from mmdet.core.evaluation.coco_metric import CocoMetric
from mmdet.core.evaluation.coco_options import check_metrics, metric_names
from mmdet.core.evaluation.recall import PROPOSAL_NUMS
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.datasets.coco_reader import choose_categories, read_table, sound_table
from mmdet.datasets.coco_table import annotations_of, content_of, corners_of
from mmdet.datasets.defects import Defect
from mmdet.datasets.pictures import AnnotatedPictures, class_names


@DATASETS.register_module(parts=dict(pipeline=PIPELINES))
class CocoDataset(AnnotatedPictures):
    """Pictures and boxes of a COCO annotation file.

    Labels follow the order of the file's categories, as in MMDetection; so do the names in `CLASSES`. Where that is not the
    order of `classes`, a warning says so.

    Args:
        ann_file: the json.
        pipeline: transforms.
        classes: names of the wanted categories, or a text file with one a line; None means the `CLASSES` of a class that is
            derived from this; else COCO's 80 where the file has them, else all of the file.
        data_root: goes before `ann_file` and `img_prefix` where those are relative.
        img_prefix: folder of the pictures.
        test_mode: all pictures, without their boxes; the file need not have any, as those of COCO's test sets.
        filter_empty_gt: whether training leaves out pictures without annotations of the wanted classes.
        bad_data: whether a record that cannot be used is an 'error', or to be left out: 'skip'.
    """
    CLASSES = COCO_CLASSES
    check_options = staticmethod(check_metrics)

    def __init__(self, ann_file: str, pipeline: Sequence[Any], classes: Union[str, Sequence[str], None] = None,
                 data_root: Optional[str] = None, img_prefix: str = '', test_mode: bool = False, filter_empty_gt: bool = True,
                 bad_data: str = 'error'):
        path = os.path.join(data_root or '', ann_file)
        skipped: List[Defect] = []
        if bad_data == 'skip':
            table, skipped = sound_table(path, annotated=not test_mode)
        else:
            table = read_table(path, annotated=not test_mode)
        self._table = table
        if classes is None and self.CLASSES is not COCO_CLASSES:
            classes = self.CLASSES
        wanted = None if classes is None else class_names(classes)
        self.cat_ids, names = choose_categories(path, table.categories, wanted)
        if wanted is None and set(self.CLASSES) <= set(names):
            wanted = list(self.CLASSES)
            self.cat_ids, names = choose_categories(path, table.categories, wanted)
        _announce_order(path, names, names if wanted is None else wanted, 'COCO' if classes is None else '`classes`')
        self._metric: Optional[CocoMetric] = None
        super().__init__(path, annotations_of(table, self.cat_ids), names, pipeline, os.path.join(data_root or '', img_prefix),
                         test_mode, filter_empty_gt, unannotated='' if table.annotated else f'{path}: has no annotations',
                         bad_data=bad_data, skipped=skipped)

    def _as_given(self) -> Tuple[np.ndarray, np.ndarray]:
        return corners_of(self._table), self._table.columns.labels < 0

    def check_metrics(self, metric: Union[str, Sequence[str]] = 'bbox', where: str = '',
                      proposal_nums: Sequence[int] = PROPOSAL_NUMS, iou_thrs: Union[float, Sequence[float], None] = None,
                      metric_items: Union[str, Sequence[str], None] = None) -> None:
        """These are metrics and options of theirs (core/evaluation/coco_options.py), and there are annotations for them."""
        check_metrics(metric, where, proposal_nums, iou_thrs, metric_items)
        if listed(metric):
            self.require_annotations()

    @staticmethod
    def metric_names(metric: Union[str, Sequence[str]] = 'bbox', proposal_nums: Sequence[int] = PROPOSAL_NUMS,
                     metric_items: Union[str, Sequence[str], None] = None, **others: Any) -> List[str]:
        """Names of the numbers that `evaluate` gives, whose arguments these are."""
        return metric_names(metric, proposal_nums, metric_items)

    def evaluate(self, results: Sequence[Detections], metric: Union[str, Sequence[str]] = 'bbox', logger: Any = None,
                 classwise: bool = False, proposal_nums: Sequence[int] = PROPOSAL_NUMS,
                 iou_thrs: Union[float, Sequence[float], None] = None,
                 metric_items: Union[str, Sequence[str], None] = None) -> Dict[str, Any]:
        """COCO metrics of detections, one for each picture in order; see core/evaluation/coco_metric.py."""
        self.require_annotations()
        if self._metric is None:
            content = content_of(self._table, self.used_boxes)
            self._metric = CocoMetric(content, self.annotations.ids, self.cat_ids, self.CLASSES)
        return self._metric(results, metric=metric, logger=logger, classwise=classwise, proposal_nums=proposal_nums,
                            iou_thrs=iou_thrs, metric_items=metric_items)


def _announce_order(path: str, names: Sequence[str], wanted: Sequence[str], who: str) -> None:
    """Warn if the names are in another order than they were asked for: label 0 may not be what a reader thinks."""
    names, wanted = list(dict.fromkeys(names)), list(dict.fromkeys(wanted))
    if names != wanted:
        start = next(i for i, (ours, theirs) in enumerate(zip(names, wanted)) if ours != theirs)
        warnings.warn(f"{path}: labels follow the order of the file, as in MMDetection: from label {start} on "
                      f"{_some(names[start:])}; the order of {who} is {_some(wanted[start:])}", UserWarning, stacklevel=3)


def _some(names: List[str]) -> str:
    return ', '.join(names[:10]) + (', ...' if len(names) > 10 else '')
