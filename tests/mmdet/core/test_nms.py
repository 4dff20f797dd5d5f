"""Suppression, against the textbook loop over each class."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmdet.core.post_processing.nms import GreedyNMS

# Few coordinates and scores: scores tie, IoUs tie with the threshold, boxes repeat, some are empty.
edges = st.integers(0, 8).map(float)
candidates = st.lists(st.tuples(edges, edges, edges, edges, st.integers(1, 5), st.integers(0, 2)), max_size=30)
thresholds = st.sampled_from([0., 0.25, 0.45, 0.5, 0.75, 1.])


def arrays(rows):
    """Boxes (n, 4), scores (n,), labels (n,)."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    corners = table[:, :4].reshape(-1, 2, 2)
    bboxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return bboxes, table[:, 4] / 10, table[:, 5].astype(np.int64)


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return np.float32(shared / union) if union > 0 else np.float32(0)


def keep_one_class(indices, bboxes, scores, threshold):
    """The best is kept, what overlaps it is dropped, and again, on a list of indices."""
    left, kept = sorted(indices, key=lambda i: -scores[i]), []  # sorted() keeps the order of ties
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if not iou(bboxes[best], bboxes[i]) > np.float32(threshold)]
    return kept


def keep_class_by_class(bboxes, scores, labels, threshold):
    kept = []
    for label in np.unique(labels):
        kept += keep_one_class(np.flatnonzero(labels == label).tolist(), bboxes.tolist(), scores, threshold)
    return sorted(kept, key=lambda i: (-scores[i], i))


@given(rows=candidates, threshold=thresholds)
def test_it_keeps_what_a_loop_over_each_class_keeps(rows, threshold):
    bboxes, scores, labels = arrays(rows)
    assert GreedyNMS(threshold)(bboxes, scores, labels).tolist() == keep_class_by_class(bboxes, scores, labels, threshold)


@given(rows=candidates, threshold=thresholds)
def test_class_agnostic_suppression_is_suppression_of_one_class(rows, threshold):
    bboxes, scores, labels = arrays(rows)
    kept = GreedyNMS(threshold, class_agnostic=True)(bboxes, scores, labels)
    assert kept.tolist() == keep_one_class(range(len(scores)), bboxes.tolist(), scores, threshold)


@given(rows=candidates, threshold=thresholds, max_num=st.integers(0, 31), class_agnostic=st.booleans())
def test_stopping_early_is_the_same_as_cutting_off_the_end(rows, threshold, max_num, class_agnostic):
    bboxes, scores, labels = arrays(rows)
    nms = GreedyNMS(threshold, class_agnostic)
    stopped = nms(bboxes, scores, labels, max_num)
    assert stopped.tolist() == nms(bboxes, scores, labels)[:max_num].tolist()


def test_many_random_boxes_agree_with_the_loop():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (400, 2, 2)).astype(np.float32)
    bboxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    scores, labels = rng.random(400, dtype=np.float32), rng.integers(0, 5, 400)
    assert GreedyNMS(0.45)(bboxes, scores, labels).tolist() == keep_class_by_class(bboxes, scores, labels, 0.45)


def test_an_overlap_equal_to_the_threshold_is_kept():
    bboxes = np.array([[0, 0, 8, 8], [0, 0, 8, 4]], dtype=np.float32)
    scores, labels = np.array([.9, .8], dtype=np.float32), np.zeros(2, dtype=np.int64)
    assert GreedyNMS(0.5)(bboxes, scores, labels).tolist() == [0, 1]
    assert GreedyNMS(0.49)(bboxes, scores, labels).tolist() == [0]


def test_boxes_of_other_classes_do_not_suppress_wherever_they_are():
    """Shifting classes apart, as MMDetection does, loses bits at large coordinates; comparing labels does not."""
    bboxes = np.array([[0, 0, 8, 8], [0, 0, 8, 8], [1e7, 1e7, 1e7 + 8, 1e7 + 8]], dtype=np.float32)
    scores = np.array([.7, .9, .8], dtype=np.float32)
    assert GreedyNMS(0.5)(bboxes, scores, np.array([0, 70, 79])).tolist() == [1, 2, 0]


@pytest.mark.parametrize('max_num', [None, 0, 5])
def test_nothing_in_nothing_out(max_num):
    kept = GreedyNMS()(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), max_num)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


@pytest.mark.parametrize('threshold', [-0.1, 1.1, float('nan')])
def test_a_threshold_outside_0_to_1_is_refused(threshold):
    with pytest.raises(ConfigError, match='iou_threshold'):
        GreedyNMS(threshold)
