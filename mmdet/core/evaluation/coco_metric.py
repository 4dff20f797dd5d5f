"""COCO's box metrics, under MMDetection's names.

MMDetection's limits of detections are kept: bbox_mAP counts the best 100 of a picture, the other five the best 1000.
COCO's own numbers (100 throughout) are logged beside them.
"""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np

from mmcv_need.errors import ConfigError, did_you_mean
from mmdet.core.evaluation.coco_api import find_evaluator, match
from mmdet.core.post_processing.detections import Detections

MAX_DETS = (1, 10, 100, 300, 1000)
AREAS = {'': 0, '_s': 1, '_m': 2, '_l': 3}  # COCO's order: all, small (< 32^2), medium, large (>= 96^2 pixels)
IOU = {50: 0, 75: 5}  # of COCO's thresholds 0.50, 0.55, ... 0.95
METRICS = ('bbox',)


def check_metrics(metric: Union[str, Sequence[str]], where: str = '') -> None:
    """These are names of metrics, and there is a COCO evaluator: worth asking before hours of training.

    Raises:
        ConfigError: one is not; `where` goes first.
        UserError: there is none.
    """
    find_evaluator()
    for name in metric if isinstance(metric, (list, tuple)) else [metric]:
        if name not in METRICS:
            raise ConfigError(f"{where}: metric '{name}' is not supported.{did_you_mean(str(name), METRICS)}".lstrip(': '))


class CocoMetric:
    """Metrics of one dataset.

    Args:
        content: of the annotation file.
        image_ids: (P,) of the pictures, in the order of the results.
        cat_ids: of the categories, in the order of the labels.
        class_names: likewise.
    """

    def __init__(self, content: Mapping[str, Any], image_ids: np.ndarray, cat_ids: Sequence[int], class_names: Sequence[str]):
        self.image_ids = np.asarray(image_ids)
        self.cat_ids = np.asarray(cat_ids)
        self.class_names = class_names
        self.ground_truth = _ground_truth(content, set(self.image_ids.tolist()), set(self.cat_ids.tolist()))
        self.evaluator = find_evaluator()

    def __call__(self, results: Sequence[Detections], metric: Union[str, Sequence[str]] = 'bbox', logger: Any = None,
                 classwise: bool = False) -> Dict[str, Any]:
        """Names and values, rounded to four digits; -1 where there is nothing to find.

        Args:
            results: one a picture.
            metric: 'bbox'.
            logger: gets the table of COCO's own numbers.
            classwise: log the mAP of each class as well.
        """
        check_metrics(metric)
        if len(results) != len(self.image_ids):
            raise ValueError(f'{len(results)} results for {len(self.image_ids)} pictures')
        rows = self._rows(results)
        if not len(rows):
            if logger:
                logger.error('The model found nothing in %d pictures: every metric is 0', len(results))
            return _named([0.0] * 6)
        found = match(self.evaluator, self.ground_truth, rows, self.cat_ids.tolist(), MAX_DETS)
        if logger:
            logger.info('Evaluating bbox with %s: %d detections in %d pictures', self.evaluator.name, len(rows), len(results))
            for line in summary_lines(found):
                logger.info(line)
            for line in classwise_lines(found, self.class_names) if classwise else []:
                logger.info(line)
        return _named(mmdet_numbers(found))

    def _rows(self, results: Sequence[Detections]) -> np.ndarray:
        """(n, 7) float64 image id, x, y, width, height, score, category id."""
        parts = []
        for image_id, found in zip(self.image_ids, results):
            boxes = found.bboxes.astype(np.float64)
            parts.append(np.column_stack([np.full(len(boxes), image_id, dtype=np.float64), boxes[:, :2],
                                          boxes[:, 2:] - boxes[:, :2], found.scores, self.cat_ids[found.labels]]))
        return np.concatenate(parts) if parts else np.zeros((0, 7))


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
    images = [{'id': i['id'], 'width': i['width'], 'height': i['height']} for i in content['images'] if i['id'] in image_ids]
    return {'images': images, 'annotations': annotations,
            'categories': [{'id': c['id'], 'name': c['name']} for c in content['categories']]}


def average_precision(found: Mapping[str, np.ndarray], area: str = '', max_dets: int = 100,
                      iou: Union[int, slice] = slice(None)) -> float:
    """Mean over thresholds, recall levels and classes of what there is to find; -1 if nothing is."""
    return _mean(found['precision'][iou, :, :, AREAS[area], MAX_DETS.index(max_dets)])


def average_recall(found: Mapping[str, np.ndarray], area: str = '', max_dets: int = 100) -> float:
    return _mean(found['recall'][:, :, AREAS[area], MAX_DETS.index(max_dets)])


def _mean(values: np.ndarray) -> float:
    present = values[values > -1]
    return float(present.mean()) if present.size else -1.0


def mmdet_numbers(found: Mapping[str, np.ndarray]) -> List[float]:
    """mAP, mAP_50, mAP_75, mAP_s, mAP_m, mAP_l with MMDetection's limits."""
    return [average_precision(found), average_precision(found, max_dets=1000, iou=IOU[50]),
            average_precision(found, max_dets=1000, iou=IOU[75]),
            *(average_precision(found, area, max_dets=1000) for area in ('_s', '_m', '_l'))]


def _named(numbers: Sequence[float]) -> Dict[str, Any]:
    names = ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'bbox_mAP_s', 'bbox_mAP_m', 'bbox_mAP_l')
    values: Dict[str, Any] = {name: round(number, 4) for name, number in zip(names, numbers)}
    values['bbox_mAP_copypaste'] = ' '.join(f'{number:.3f}' for number in numbers)
    return values


def summary_lines(found: Mapping[str, np.ndarray]) -> List[str]:
    """COCO's twelve numbers in COCO's words."""
    rows = [('Precision', 'AP', '0.50:0.95', '', 100, average_precision(found)),
            ('Precision', 'AP', '0.50     ', '', 100, average_precision(found, iou=IOU[50])),
            ('Precision', 'AP', '0.75     ', '', 100, average_precision(found, iou=IOU[75])),
            *(('Precision', 'AP', '0.50:0.95', area, 100, average_precision(found, area)) for area in ('_s', '_m', '_l')),
            *(('Recall   ', 'AR', '0.50:0.95', '', limit, average_recall(found, '', limit)) for limit in (1, 10, 100)),
            *(('Recall   ', 'AR', '0.50:0.95', area, 100, average_recall(found, area)) for area in ('_s', '_m', '_l'))]
    names = {'': 'all', '_s': 'small', '_m': 'medium', '_l': 'large'}
    return [f' Average {title}  ({short}) @[ IoU={iou} | area={names[area]:>6} | maxDets={limit:>3} ] = {value:.3f}'
            for title, short, iou, area, limit, value in rows]


def classwise_lines(found: Mapping[str, np.ndarray], class_names: Sequence[str]) -> List[str]:
    """mAP of each class, three a line."""
    values = [_mean(found['precision'][:, :, k, 0, MAX_DETS.index(100)]) for k in range(len(class_names))]
    cells = [f'{name:<16} {value:6.3f}' for name, value in zip(class_names, values)]
    return ['  '.join(cells[i:i + 3]) for i in range(0, len(cells), 3)]
