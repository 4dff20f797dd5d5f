"""Whatever is to be found and whatever is found, evaluation gives numbers; COCO's, where there is something to find."""
from __future__ import annotations

import logging

import numpy as np
import pytest

from mmdet.core.evaluation.coco_metric import CocoMetric
from mmdet.core.post_processing.detections import Detections

NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
BOX = [10., 20., 30., 40.]
FOUND = Detections(np.float32([[10, 20, 40, 60], [200, 200, 250, 260]]), np.float32([0.9, 0.4]), np.int64([0, 1]))


@pytest.mark.parametrize('boxes, found, expected', [
    ([], [NOTHING], 0), ([], [FOUND], -1), ([], [NOTHING, NOTHING], 0), ([dict(bbox=BOX)], [NOTHING], 0),
    ([dict(bbox=BOX)], [FOUND], 1), ([dict(bbox=BOX)], [FOUND, NOTHING], 1), ([dict(bbox=BOX, id=0)], [FOUND], 1),
    ([dict(bbox=BOX, iscrowd=1)], [FOUND], -1), ([dict(bbox=BOX, iscrowd=1)], [NOTHING], 0),
    ([dict(bbox=BOX, category_id=2)], [FOUND], 0), ([dict(bbox=BOX, area=0.)], [FOUND], 1),
    ([dict(bbox=[10., 20., 0., 0.])], [FOUND], 0), ([dict(bbox=BOX, id=i) for i in (0, 0)], [FOUND], None),
], ids=['no box, nothing found', 'no box', 'two pictures of nothing', 'nothing found', 'one picture', 'two pictures',
        'annotation 0', 'only a crowd', 'only a crowd, nothing found', 'another class', 'no area', 'a box of no size',
        'two annotations 0'])
def test_no_set_is_too_small_or_too_odd(evaluator, boxes, found, expected):
    content = {'images': [{'id': i, 'width': 640, 'height': 480} for i in range(len(found))],
               'annotations': [{'id': 1, 'image_id': 0, 'category_id': 0, 'iscrowd': 0, 'area': 1200., **box} for box in boxes],
               'categories': [{'id': i, 'name': f'class {i}'} for i in range(3)]}
    metric = CocoMetric(content, np.arange(len(found)), [0, 1, 2], ['class 0', 'class 1', 'class 2'])
    metric.evaluator = evaluator
    values = metric(found, metric=['bbox', 'proposal'], logger=logging.getLogger('quiet'), classwise=True)
    numbers = [value for name, value in values.items() if name != 'bbox_mAP_copypaste']
    assert len(numbers) == 12 and all(-1 <= value <= 1 for value in numbers)
    if expected is not None:
        assert values['bbox_mAP'] == expected
