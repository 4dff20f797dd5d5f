"""Suppression, against the textbook loop over each class."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.core.post_processing.nms import NMS, GreedyNMS, keep_all

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


def iou(a, b, offset=0):
    width, height = (min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis]) + offset for axis in (0, 1))
    shared = max(width, 0) * max(height, 0)
    area_a, area_b = ((box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b))
    union = area_a + area_b - shared
    return np.float32(shared / union) if union > 0 else np.float32(0)


def keep_one_class(indices, bboxes, scores, threshold, offset=0):
    """The best is kept, what overlaps it is dropped, and again, on a list of indices."""
    left, kept = sorted(indices, key=lambda i: -scores[i]), []  # sorted() keeps the order of ties
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if not iou(bboxes[best], bboxes[i], offset) > np.float32(threshold)]
    return kept


def keep_class_by_class(bboxes, scores, labels, threshold, offset=0):
    kept = []
    for label in np.unique(labels):
        kept += keep_one_class(np.flatnonzero(labels == label).tolist(), bboxes.tolist(), scores, threshold, offset)
    return sorted(kept, key=lambda i: (-scores[i], i))


@given(rows=candidates, threshold=thresholds, offset=st.integers(0, 1))
def test_it_keeps_what_a_loop_over_each_class_keeps(rows, threshold, offset):
    bboxes, scores, labels = arrays(rows)
    kept, kept_scores = GreedyNMS(threshold, offset=offset)(bboxes, scores, labels)
    assert kept.tolist() == keep_class_by_class(bboxes, scores, labels, threshold, offset)
    assert kept_scores.tolist() == scores[kept].tolist()


@given(rows=candidates, threshold=thresholds)
def test_class_agnostic_suppression_is_suppression_of_one_class(rows, threshold):
    bboxes, scores, labels = arrays(rows)
    kept, _ = GreedyNMS(threshold, class_agnostic=True)(bboxes, scores, labels)
    assert kept.tolist() == keep_one_class(range(len(scores)), bboxes.tolist(), scores, threshold)


@given(rows=candidates, threshold=thresholds, max_num=st.integers(0, 31), class_agnostic=st.booleans())
def test_stopping_early_is_the_same_as_cutting_off_the_end(rows, threshold, max_num, class_agnostic):
    bboxes, scores, labels = arrays(rows)
    nms = GreedyNMS(threshold, class_agnostic)
    stopped, _ = nms(bboxes, scores, labels, max_num)
    assert stopped.tolist() == nms(bboxes, scores, labels)[0][:max_num].tolist()


def test_many_random_boxes_agree_with_the_loop():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (400, 2, 2)).astype(np.float32)
    bboxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    scores, labels = rng.random(400, dtype=np.float32), rng.integers(0, 5, 400)
    assert GreedyNMS(0.45)(bboxes, scores, labels)[0].tolist() == keep_class_by_class(bboxes, scores, labels, 0.45)


def test_an_overlap_equal_to_the_threshold_is_kept():
    bboxes = np.array([[0, 0, 8, 8], [0, 0, 8, 4]], dtype=np.float32)
    scores, labels = np.array([.9, .8], dtype=np.float32), np.zeros(2, dtype=np.int64)
    assert GreedyNMS(0.5)(bboxes, scores, labels)[0].tolist() == [0, 1]
    assert GreedyNMS(0.49)(bboxes, scores, labels)[0].tolist() == [0]


def test_boxes_of_other_classes_do_not_suppress_wherever_they_are():
    """Shifting classes apart, as MMDetection does, loses bits at large coordinates; comparing labels does not."""
    bboxes = np.array([[0, 0, 8, 8], [0, 0, 8, 8], [1e7, 1e7, 1e7 + 8, 1e7 + 8]], dtype=np.float32)
    scores = np.array([.7, .9, .8], dtype=np.float32)
    assert GreedyNMS(0.5)(bboxes, scores, np.array([0, 70, 79]))[0].tolist() == [1, 2, 0]


def test_where_shifting_classes_apart_changes_a_decision_the_labels_decide():
    """MMDetection adds label * (largest coordinate + 1) in float32: at 79 * 1001 pixels the last bits of a box are hundredths.

    Pairs of one class whose IoU is just above or just below the threshold: some are decided otherwise after the shift.
    """
    rng, decided_otherwise, threshold = np.random.default_rng(0), 0, np.float32(0.45)
    for _ in range(200):
        x, y, width, height = rng.uniform(0, 400, 2).tolist() + rng.uniform(50, 100, 2).tolist()
        overlap = 0.45 * width * (1 + rng.choice([-1, 1]) * 2e-5)
        pair = np.array([[x, y, x + width, y + height], [x, y, x + overlap, y + height]], np.float32)
        kept, _ = GreedyNMS(0.45)(pair, np.array([0.9, 0.8], np.float32), np.array([79, 79]))
        drops, drops_shifted = (bool(iou(*boxes) > threshold) for boxes in (pair, pair + np.float32(79 * 1001)))
        assert len(kept) == 2 - drops
        decided_otherwise += drops != drops_shifted
    assert decided_otherwise > 20


@pytest.mark.parametrize('max_num', [None, 0, 5])
def test_nothing_in_nothing_out(max_num):
    kept, scores = GreedyNMS(0.5)(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), max_num)
    assert kept.shape == scores.shape == (0,)
    assert (kept.dtype, scores.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize('threshold', [-0.1, 1.1, float('nan')])
def test_a_threshold_outside_0_to_1_is_refused(threshold):
    with pytest.raises(ConfigError, match='iou_threshold'):
        GreedyNMS(threshold)


@given(rows=candidates, threshold=thresholds, score_threshold=st.sampled_from([0., 0.1, 0.2, 0.3]), max_num=st.integers(-1, 5))
def test_candidates_up_to_the_score_threshold_take_no_part_and_max_num_are_kept(rows, threshold, score_threshold, max_num):
    bboxes, scores, labels = arrays(rows)
    above = np.flatnonzero(scores > np.float32(score_threshold))
    expected = above[keep_class_by_class(bboxes[above], scores[above], labels[above], threshold)]
    nms = GreedyNMS(threshold, score_threshold=score_threshold, max_num=max_num)
    assert nms(bboxes, scores, labels)[0].tolist() == expected[:max_num if max_num > 0 else None].tolist()
    assert nms(bboxes, scores, labels, max_num=2)[0].tolist() == expected[:min(max_num, 2) if max_num > 0 else 2].tolist()


def test_tiny_boxes_overlap_like_large_ones_and_empty_ones_do_not():
    bboxes = np.array([[0, 0, 1e-5, 1e-5]] * 2 + [[5, 5, 5, 5]] * 2, dtype=np.float32)
    kept, _ = GreedyNMS(0.5)(bboxes, np.array([.4, .3, .2, .1], dtype=np.float32), np.zeros(4, dtype=np.int64))
    assert kept.tolist() == [0, 2, 3]


def test_a_config_of_mmdetection_builds_it_with_old_names_too():
    new = build(dict(type='nms', iou_threshold=0.4, split_thr=5000, class_agnostic=True, max_num=7), NMS)
    old = build(dict(type='nms', iou_thr=0.4), NMS)
    assert (new.iou_threshold, new.class_agnostic, new.max_num) == (0.4, True, 7)
    assert (old.iou_threshold, old.class_agnostic, old.max_num) == (0.4, False, None)


@pytest.mark.parametrize('options, words', [({'iou_threshold': 0.4, 'iou_thr': 0.4}, 'old name of iou_threshold'),
                                            ({'iou_thr': 2}, 'iou_threshold 2 is not in 0..1'), ({}, 'needs iou_threshold'),
                                            ({'iou_thr': 0.5, 'offset': 2}, 'offset 2')])
def test_what_cannot_be_meant_is_one_line(options, words):
    with pytest.raises(ConfigError, match=words) as error:
        GreedyNMS(**options)
    assert '\n' not in str(error.value)


def test_no_suppression_keeps_all_in_their_order():
    scores = np.array([.1, .9, .5], dtype=np.float32)
    kept, same = keep_all(np.zeros((3, 4), np.float32), scores, np.zeros(3, np.int64))
    assert kept.tolist() == [0, 1, 2] and same is scores


@given(rows=st.lists(st.tuples(edges, edges, edges, edges, st.integers(0, 2)), max_size=20), threshold=thresholds,
       rng=st.randoms(use_true_random=False), class_agnostic=st.booleans())
def test_the_order_of_candidates_does_not_matter_and_once_is_enough(rows, threshold, rng, class_agnostic):
    scores = rng.sample(range(1, 100), len(rows))  # each its own
    bboxes, scores, labels = arrays([(*row[:4], score, row[4]) for row, score in zip(rows, scores)])
    nms = GreedyNMS(threshold, class_agnostic)
    kept, _ = nms(bboxes, scores, labels)
    order = np.array(rng.sample(range(len(rows)), len(rows)), dtype=np.int64)
    assert order[nms(bboxes[order], scores[order], labels[order])[0]].tolist() == kept.tolist()
    assert nms(bboxes[kept], scores[kept], labels[kept])[0].tolist() == list(range(len(kept)))


ANY = st.floats(width=32) | st.sampled_from([np.inf, -np.inf, np.nan, 3e38, -3e38, 0.0])


@given(rows=st.lists(st.tuples(ANY, ANY, ANY, ANY, st.floats(0, 1, width=32), st.integers(0, 2)), max_size=12),
       threshold=thresholds)
def test_boxes_that_are_none_come_out_once_at_most_and_nothing_is_raised(rows, threshold):
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    kept, scores = GreedyNMS(threshold)(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))
    assert len(set(kept.tolist())) == len(kept) <= len(rows) and (np.diff(scores) <= 0).all()
