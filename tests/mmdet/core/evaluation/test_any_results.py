"""Whatever was detected: an evaluation gives each of its numbers, within its bounds, in whatever order it is given."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdet.core.evaluation import coco_options, voc_metric
from mmdet.core.evaluation.coco_metric import CocoMetric
from mmdet.core.evaluation.mean_ap import area_under_curve, eleven_point_mean
from mmdet.core.evaluation.voc_metric import VocMetric
from mmdet.core.post_processing.detections import Detections

CLASSES = ('cat', 'dog')
SIDE = st.integers(0, 60).map(float)
BOX = st.tuples(SIDE, SIDE, st.integers(1, 40), st.integers(1, 40)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
TRUTHS = st.lists(st.tuples(BOX, st.integers(0, 1), st.booleans()), max_size=5)  # box, label, whether it is ignored
FOUND = st.lists(st.tuples(BOX, st.integers(0, 1)), max_size=8)
WILD = st.sampled_from([0.0, -1e30, 1e30, 3e38, 50.0, 1e-30])
WILD_FOUND = st.lists(st.tuples(st.tuples(WILD, WILD, WILD, WILD), st.integers(0, 1)), max_size=5)
PICTURES = st.lists(st.tuples(TRUTHS, FOUND, WILD_FOUND), min_size=1, max_size=3)


def detections(rows, scores):
    order = np.argsort(-np.asarray(scores, np.float32), kind='stable')
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)[order]
    return Detections(boxes, np.asarray(scores, np.float32)[order], np.array([label for _, label in rows], np.int64)[order])


def coco(pictures, evaluator):
    """(function of results -> numbers, names of the numbers)."""
    boxes = [(i, box, label, ignored) for i, (truths, *_) in enumerate(pictures) for box, label, ignored in truths]
    content = {'images': [{'id': i + 1, 'width': 100, 'height': 100} for i in range(len(pictures))],
               'categories': [{'id': i, 'name': name} for i, name in enumerate(CLASSES)],
               'annotations': [{'id': n + 1, 'image_id': i + 1, 'category_id': label, 'bbox': [x1, y1, x2 - x1, y2 - y1],
                                'area': (x2 - x1) * (y2 - y1), 'iscrowd': int(ignored)}
                               for n, (i, (x1, y1, x2, y2), label, ignored) in enumerate(boxes)]}
    metric = CocoMetric(content, np.arange(1, len(pictures) + 1), [0, 1], CLASSES)
    metric.evaluator = evaluator
    return (lambda results: metric(results, metric=['bbox', 'proposal'])), coco_options.metric_names(['bbox', 'proposal'])


def voc(pictures, average):
    truths = []
    for rows, *_ in pictures:
        parts = [[row for row in rows if row[2] is ignored] for ignored in (False, True)]
        arrays = [(np.array([row[0] for row in part], np.float32).reshape(-1, 4), np.array([row[1] for row in part], np.int64))
                  for part in parts]
        truths.append(dict(zip(('bboxes', 'labels', 'bboxes_ignore', 'labels_ignore'), (*arrays[0], *arrays[1]))))
    metric = VocMetric(CLASSES, average)
    return (lambda results: metric(results, truths, metric=['mAP', 'recall'])), voc_metric.metric_names(['mAP', 'recall'])


def check(evaluate, names, pictures, rng):
    scores = [[rng.randint(1, 10**6) / 10**6 for _ in (*found, *wild)] for _, found, wild in pictures]
    results = [detections([*found, *wild], own) for (_, found, wild), own in zip(pictures, scores)]
    values = evaluate(results)
    assert set(names) <= set(values)
    numbers = {name: value for name, value in values.items() if isinstance(value, float)}
    assert set(names) <= set(numbers)
    assert all(value == -1 or 0 <= value <= 1 or np.isnan(value) for value in numbers.values()), numbers
    mixed = []
    for (_, found, wild), own in zip(pictures, scores):
        rows = [*zip([*found, *wild], own)]
        rng.shuffle(rows)
        mixed.append(detections([row for row, _ in rows], [score for _, score in rows]))
    if all(len(set(own)) == len(own) for own in scores):
        again = evaluate(mixed)
        assert all(again[name] == value or np.isnan(value) for name, value in numbers.items())


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(pictures=PICTURES, rng=st.randoms(use_true_random=False))
def test_cocos_numbers_are_all_there_and_within_their_bounds(evaluator, pictures, rng):
    check(*coco(pictures, evaluator), pictures, rng)


@pytest.mark.parametrize('average', [area_under_curve, eleven_point_mean])
@settings(max_examples=60)
@given(pictures=PICTURES, rng=st.randoms(use_true_random=False))
def test_vocs_numbers_are_all_there_and_within_their_bounds(average, pictures, rng):
    check(*voc(pictures, average), pictures, rng)
