"""Soft suppression, against the paper's loop over each class."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.core.post_processing.nms import NMS, GreedyNMS
from mmdet.core.post_processing.soft_nms import METHODS, SoftNMS

edges = st.integers(0, 8).map(float)
candidates = st.lists(st.tuples(edges, edges, edges, edges, st.integers(0, 20), st.integers(0, 2)), max_size=25)
thresholds = st.sampled_from([0.25, 0.3, 0.5])


def arrays(rows):
    """Boxes (n, 4), scores (n,), labels (n,)."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    corners = table[:, :4].reshape(-1, 2, 2)
    bboxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return bboxes, table[:, 4] / 20, table[:, 5].astype(np.int64)


def iou(a, b, offset):
    width, height = (min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis]) + offset for axis in (0, 1))
    shared = max(width, 0) * max(height, 0)
    area_a, area_b = ((box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b))
    union = area_a + area_b - shared
    return np.float32(shared / union) if union > 0 else np.float32(0)


def weight(overlap, threshold, sigma, method):
    if method == 'gaussian':
        return np.float32(math.exp(-overlap ** 2 / sigma))
    if overlap < np.float32(threshold):
        return np.float32(1)
    return np.float32(0) if method == 'naive' else np.float32(1) - overlap


def soften_one_class(indices, bboxes, scores, threshold, sigma, min_score, method, offset):
    """[(score, index)] of what is taken: the best, whose neighbours then lose score, and again, on a list."""
    left, taken = [(scores[i], i) for i in indices if scores[i] >= np.float32(min_score)], []
    while left:
        best = max(left, key=lambda entry: entry[0])  # the first of equal ones
        left.remove(best)
        taken.append(best)
        left = [(score * weight(iou(bboxes[best[1]], bboxes[i], offset), threshold, sigma, method), i) for score, i in left]
        left = [entry for entry in left if entry[0] >= np.float32(min_score)]
    return taken


@given(rows=candidates, threshold=thresholds, method=st.sampled_from(METHODS), sigma=st.sampled_from([0.1, 0.5]),
       min_score=st.sampled_from([0., 0.001, 0.05, 0.3]), offset=st.integers(0, 1), class_agnostic=st.booleans())
def test_it_gives_what_a_loop_over_each_class_gives(rows, threshold, method, sigma, min_score, offset, class_agnostic):
    bboxes, scores, labels = arrays(rows)
    kept, lowered = SoftNMS(threshold, sigma, min_score, method, class_agnostic, offset=offset)(bboxes, scores, labels)
    groups = [range(len(scores))] if class_agnostic else [np.flatnonzero(labels == label).tolist() for label in range(3)]
    expected = {i: score for group in groups
                for score, i in soften_one_class(group, bboxes.tolist(), scores, threshold, sigma, min_score, method, offset)}
    # Exponentials may differ in their last bit, and what that changes is only known to be small.
    near = {i for i, score in expected.items() if score < min_score * 1.00001}
    assert set(expected) - near <= set(kept.tolist()) <= set(expected) | near
    assert lowered.tolist() == pytest.approx([expected[i] for i in kept.tolist()], rel=1e-5)
    assert (np.diff(lowered) <= 0).all()


@given(rows=candidates, threshold=thresholds)
def test_naive_is_plain_suppression_where_no_overlap_equals_the_threshold(rows, threshold):
    """Soft-NMS acts from the threshold on, plain NMS above it: the next number after one makes it the other."""
    bboxes, scores, labels = arrays(rows)
    scores = np.maximum(scores, np.float32(0.01))  # above the lowest score of soft-NMS
    plain, plain_scores = GreedyNMS(threshold)(bboxes, scores, labels)
    following = float(np.nextafter(np.float32(threshold), np.float32(1)))
    kept, lowered = SoftNMS(following, method='naive')(bboxes, scores, labels)
    assert kept.tolist() == plain.tolist() and lowered.tolist() == plain_scores.tolist()


@given(rows=candidates, method=st.sampled_from(METHODS), max_num=st.integers(0, 26))
def test_stopping_early_is_the_same_as_cutting_off_the_end(rows, method, max_num):
    bboxes, scores, labels = arrays(rows)
    nms = SoftNMS(method=method)
    kept, lowered = nms(bboxes, scores, labels)
    stopped, stopped_scores = nms(bboxes, scores, labels, max_num)
    assert stopped.tolist() == kept[:max_num].tolist() and stopped_scores.tolist() == lowered[:max_num].tolist()


@pytest.mark.parametrize('method, second', [('naive', None), ('linear', .8 * .5), ('gaussian', .8 * math.exp(-.5))])
def test_the_worked_example(method, second):
    """IoU 0.5 with the best, sigma 0.5: dropped, halved, or times exp(-0.5). Another class and a box apart stay as they are."""
    bboxes = np.array([[0, 0, 8, 8], [0, 0, 8, 4], [0, 0, 8, 8], [20, 0, 28, 8]], dtype=np.float32)
    scores, labels = np.array([.9, .8, .7, .6], dtype=np.float32), np.array([0, 0, 1, 0])
    kept, lowered = SoftNMS(0.3, method=method)(bboxes, scores, labels)
    expected = {0: .9, 2: .7, 3: .6, **({} if second is None else {1: second})}
    assert dict(zip(kept.tolist(), lowered.tolist())) == pytest.approx(expected)
    assert scores.tolist() == pytest.approx([.9, .8, .7, .6])  # the caller's stay as they are


@pytest.mark.parametrize('max_num', [None, 0, 5])
def test_nothing_in_nothing_out(max_num):
    kept, lowered = SoftNMS()(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), max_num)
    assert kept.shape == lowered.shape == (0,)
    assert (kept.dtype, lowered.dtype) == (np.int64, np.float32)


def test_the_config_of_mmdetection_builds_it():
    nms = build(dict(type='soft_nms', iou_thr=0.4, min_score=0.05, method='gaussian', sigma=0.3, split_thr=5000), NMS)
    assert (nms.iou_threshold, nms.min_score, nms.method, nms.sigma, nms.offset) == (0.4, 0.05, 'gaussian', 0.3, 0)
    default = build(dict(type='soft_nms'), NMS)
    assert (default.iou_threshold, default.min_score, default.method, default.sigma) == (0.3, 1e-3, 'linear', 0.5)


@pytest.mark.parametrize('options, words', [({'method': 'gausian'}, "Did you mean 'gaussian'"), ({'sigma': 0}, 'sigma > 0'),
                                            ({'min_score': -1}, 'min_score >= 0'), ({'iou_threshold': 2}, 'not in 0..1'),
                                            ({'iou_threshold': .3, 'iou_thr': .3}, 'old name'), ({'offset': 2}, 'offset 2')])
def test_what_cannot_be_meant_is_one_line(options, words):
    with pytest.raises(ConfigError, match=words) as error:
        SoftNMS(**options)
    assert '\n' not in str(error.value)
