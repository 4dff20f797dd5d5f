"""COCO's box metrics, under MMDetection's names.

MMDetection's limits of detections are kept: bbox_mAP counts the best 100 of a picture and class, the other five and the mAP
of each class the best 1000. Proposals have no class: there a limit is for a picture. COCO's own numbers (100 of a picture and
class throughout) are logged beside them.
"""
from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np

from mmdet.core.evaluation import coco_summary as summary
from mmdet.core.evaluation.coco_api import find_evaluator, match, result_rows
from mmdet.core.evaluation.coco_options import PROPOSAL_NUMS, Choice, check_metrics, metric_names
from mmdet.core.post_processing.detections import Detections


class CocoMetric:
    """Metrics of one dataset.

    Args:
        content: of the annotation file.
        image_ids: (P,) of the pictures, in the order of the results.
        cat_ids: of the categories, in the order of the labels.
        class_names: likewise.

    Attributes:
        class_ap: mAP of each class by name, at the last of `proposal_nums`, of the last call if that was for 'bbox'; -1 where
            the pictures have none.
    """

    def __init__(self, content: Mapping[str, Any], image_ids: np.ndarray, cat_ids: Sequence[int], class_names: Sequence[str]):
        self.image_ids = np.asarray(image_ids)
        self.cat_ids = np.asarray(cat_ids)
        self.class_names = class_names
        self.ground_truth = _ground_truth(content, set(self.image_ids.tolist()), set(self.cat_ids.tolist()))
        self.evaluator = find_evaluator()
        self.class_ap: Dict[str, float] = {}

    def __call__(self, results: Sequence[Detections], metric: Union[str, Sequence[str]] = 'bbox', logger: Any = None,
                 classwise: bool = False, proposal_nums: Sequence[int] = PROPOSAL_NUMS,
                 iou_thrs: Union[float, Sequence[float], None] = None,
                 metric_items: Union[str, Sequence[str], None] = None) -> Dict[str, Any]:
        """Names and values, rounded to MMDetection 2.28's four digits; -1 where there is nothing to find.

        `bbox_mAP_copypaste` is a text of six with three digits each.

        Args:
            results: one a picture.
            metric: 'bbox', 'proposal' (recall whatever the class), or both.
            logger: gets COCO's own numbers.
            classwise: log a table of the classes as well.
            proposal_nums: limits of detections, for 'bbox' of a picture and class, for 'proposal' of a picture; all numbers but
                bbox_mAP and the recalls that name another count as many as the last.
            iou_thrs: instead of 0.50, 0.55, ... 0.95; mAP_50 and mAP_75 are -1 unless 0.5 and 0.75 are among them.
            metric_items: which numbers, instead of mAP, mAP_50, mAP_75, mAP_s, mAP_m, mAP_l for 'bbox' and AR@100, AR@300,
                AR@1000, AR_s@1000, AR_m@1000, AR_l@1000 for 'proposal'; either may have any of the twelve.

        Raises:
            ConfigError: a metric, or one of the last three, makes no sense.
        """
        choice = check_metrics(metric, '', proposal_nums, iou_thrs, metric_items)
        if len(results) != len(self.image_ids):
            raise ValueError(f'{len(results)} results for {len(self.image_ids)} pictures')
        rows = result_rows(results, self.image_ids, self.cat_ids)
        if not len(rows) and logger:
            logger.error('The model found nothing in %d pictures: every metric is 0', len(results))
        self.class_ap = {}
        values: Dict[str, Any] = {}
        for name in choice.metrics:
            if logger:
                logger.info('Evaluating %s...', name)  # MMDetection's line, to the letter
            numbers = (self._numbers(name, rows, choice, logger, classwise) if len(rows) else
                       dict.fromkeys(summary.number_names(choice.proposal_nums), 0.0))
            values.update(_named(name, numbers, choice))
        return values

    def _numbers(self, metric: str, rows: np.ndarray, choice: Choice, logger: Any, classwise: bool) -> Dict[str, float]:
        """All twelve numbers of a metric, and the log of them."""
        found = match(self.evaluator, self.ground_truth, rows, self.cat_ids.tolist(),
                      [*summary.OFFICIAL_MAX_DETS, *choice.proposal_nums], choice.iou_thrs, use_cats=metric == 'bbox')
        numbers = summary.mmdet_numbers(found, choice.proposal_nums)
        lines = summary.official_lines(found) if metric == 'bbox' else summary.proposal_lines(numbers)
        if metric == 'bbox':
            values = summary.class_average_precision(found, choice.proposal_nums[-1])
            self.class_ap = dict(zip(self.class_names, values))
            lines += summary.class_table(self.class_names, values, self._box_counts()) if classwise else []
        if logger:
            logger.info('%s: %d detections in %d pictures', self.evaluator.name, len(rows), len(self.image_ids))
            for line in lines:
                logger.info(line)
        return numbers

    def _box_counts(self) -> List[int]:
        """How many boxes of each class there are to find."""
        boxes = Counter(item['category_id'] for item in self.ground_truth['annotations'] if not item['iscrowd'])
        return [boxes[number] for number in self.cat_ids.tolist()]


def _named(metric: str, numbers: Mapping[str, float], choice: Choice) -> Dict[str, Any]:
    """The wanted numbers under MMDetection's names."""
    names = metric_names(metric, choice.proposal_nums, choice.items)
    values: Dict[str, Any] = {name: round(numbers[name.replace('bbox_', '')], 4) for name in names}
    if metric == 'bbox':
        values['bbox_mAP_copypaste'] = ' '.join(f'{numbers[item]:.3f}' for item in summary.PRECISIONS)
    return values


def _ground_truth(content: Mapping[str, Any], image_ids: set, cat_ids: set) -> Dict[str, Any]:
    """What an evaluator needs of an annotation file, for these pictures and categories, with annotations numbered from 1."""
    annotations: List[Dict[str, Any]] = []
    for item in content['annotations']:
        if item['image_id'] in image_ids and item['category_id'] in cat_ids:
            width, height = item['bbox'][2:]
            area = item.get('area')
            annotations.append({'id': len(annotations) + 1, 'image_id': item['image_id'], 'category_id': item['category_id'],
                                'bbox': item['bbox'], 'area': width * height if area is None else area,
                                'iscrowd': int(item.get('iscrowd') or 0)})
    images = [{'id': int(image['id']), 'width': image['width'], 'height': image['height']}  # hotcoco takes no 3.0 for an id
              for image in content['images'] if image['id'] in image_ids]
    return {'images': images, 'annotations': annotations,
            'categories': [{'id': c['id'], 'name': c['name']} for c in content['categories']]}
