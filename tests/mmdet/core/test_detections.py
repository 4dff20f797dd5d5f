"""From scores and offsets to detections."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.post_processing.detections import (
    Detections,
    SSDTestCfg,
    detect,
    pick_above,
    pick_candidates,
    suppress,
    to_original,
)
from mmdet.core.post_processing.nms import GreedyNMS
from mmdet.core.post_processing.soft_nms import SoftNMS

BOXES = [[0., 0., 10., 10.], [1., 1., 11., 11.], [50., 50., 60., 60.]]
SCORES = [[.9, .01, .09], [.8, .15, .05], [.02, .5, .48]]  # two classes and background
META = {'img_shape': (300, 300, 3), 'scale_factor': np.ones(4, dtype=np.float32)}


def found(scores=SCORES, boxes=BOXES, metas=(META,), num_level=None, rescale=False, **options):
    """Detections of the given probabilities, at the default boxes themselves."""
    anchors = Anchors.from_boxes(torch.tensor(boxes), num_level or [len(boxes)])
    logits = torch.tensor(scores).log().expand(len(metas), -1, -1)
    deltas = torch.zeros(len(metas), len(boxes), 4)
    return detect(logits, deltas, anchors, DeltaXYWHBBoxCoder(), metas, SSDTestCfg(**options), rescale)


def test_the_published_example_gives_the_published_detections():
    (result,) = found(score_thr=0.02, nms=GreedyNMS(0.45))
    assert result.labels.tolist() == [0, 1, 1]
    assert result.bboxes.tolist() == [BOXES[0], BOXES[2], BOXES[1]]
    assert result.scores.tolist() == pytest.approx([.9, .5, .15], abs=1e-6)


def test_a_score_equal_to_the_threshold_is_dropped():
    exact = torch.tensor(SCORES).log().softmax(dim=-1)[1, 1].item()  # what 0.15 becomes
    assert found(score_thr=exact)[0].labels.tolist() == [0, 1]
    assert found(score_thr=np.nextafter(np.float32(exact), np.float32(0)))[0].labels.tolist() == [0, 1, 1]


def test_types_are_what_the_fields_say():
    (result,) = found()
    assert (result.bboxes.dtype, result.scores.dtype, result.labels.dtype) == (np.float32, np.float32, np.int64)


def test_nothing_found_is_an_empty_result_of_the_right_shapes():
    (result,) = found(score_thr=0.99)
    assert (result.bboxes.shape, result.scores.shape, result.labels.shape) == ((0, 4), (0,), (0,))
    rows = result.by_class(2)
    assert [(row.shape, row.dtype) for row in rows] == [((0, 5), np.float32)] * 2


def test_by_class_is_a_table_of_boxes_and_scores_for_each_class_best_first():
    rows = found()[0].by_class(3)
    assert [row.shape for row in rows] == [(1, 5), (2, 5), (0, 5)]
    np.testing.assert_allclose(rows[1], [[*BOXES[2], .5], [*BOXES[1], .15]], atol=1e-6)
    assert rows[0].dtype == np.float32


def test_rescaled_boxes_are_in_pixels_of_the_original_picture():
    meta = {'img_shape': (300, 300, 3), 'scale_factor': np.array([2., .5, 2., .5], dtype=np.float32)}
    assert found(metas=(meta,), rescale=True)[0].bboxes[1].tolist() == [25., 100., 30., 120.]
    assert found(metas=(meta,), rescale=False)[0].bboxes[1].tolist() == BOXES[2]


def test_each_picture_clips_to_its_own_shape_and_divides_by_its_own_scale():
    metas = ({'img_shape': (55, 300, 3), 'scale_factor': [1., 1., 1., 1.]},
             {'img_shape': (300, 52, 3), 'scale_factor': [2., 2., 2., 2.]})
    first, second = found(metas=metas, rescale=True)
    assert first.bboxes[1].tolist() == [50., 50., 60., 55.]
    assert second.bboxes[1].tolist() == [25., 25., 26., 30.]


def test_at_most_max_per_img_are_kept_the_best():
    assert found(max_per_img=2)[0].scores.tolist() == pytest.approx([.9, .5], abs=1e-6)


@pytest.mark.parametrize('everything', [-1, 0])
def test_no_limit_keeps_all_candidates_as_in_mmdetection(everything):
    """300 boxes apart from each other, of one class: more than the 200 that are kept otherwise."""
    boxes = [[10. * i, 0., 10. * i + 8, 8.] for i in range(300)]
    meta = {**META, 'img_shape': (300, 3000, 3)}
    options = {'scores': [[.6, .0001, .3999]] * 300, 'boxes': boxes, 'metas': (meta,)}
    assert len(found(**options)[0].scores) == 200
    assert len(found(**options, max_per_img=everything)[0].scores) == 300
    assert len(found(**options, max_per_img=everything, nms_pre=everything)[0].scores) == 300
    assert len(found(**options, max_per_img=everything, nms_pre=250)[0].scores) == 250


def test_all_candidates_are_kept_where_nms_pre_is_not_given():
    assert SSDTestCfg().nms_pre == -1


def test_nms_pre_keeps_the_best_candidates_of_each_level_before_suppression():
    """Two levels: boxes 0 and 1, and box 2. One candidate of each: (0, class 0) and (2, class 1)."""
    (result,) = found(num_level=[2, 1], nms_pre=1)
    assert result.labels.tolist() == [0, 1]
    assert result.bboxes.tolist() == [BOXES[0], BOXES[2]]


@pytest.mark.parametrize('nms_pre', [-1, 0, 1, 3, 7, 1000])
def test_candidates_are_the_sorted_top_of_each_level(nms_pre):
    probabilities, num_level = torch.rand(2, 9, 3, generator=torch.Generator().manual_seed(0)), (5, 3, 1)
    values, flat = pick_candidates(probabilities, num_level, nms_pre)
    for image in range(2):
        expected, start = [], 0
        for count in num_level:
            pairs = [(probabilities[image, box, label].item(), box * 3 + label)
                     for box in range(start, start + count) for label in range(3)]
            expected += sorted(pairs, reverse=True)[:nms_pre if nms_pre > 0 else None]
            start += count
        assert list(zip(values[image].tolist(), flat[image].tolist())) == expected


@pytest.mark.parametrize('nms_pre', [-1, 1, 3, 1000])
@pytest.mark.parametrize('score_thr', [-1., 0.3, 0.6, 2.])
def test_on_the_host_only_those_above_the_threshold_are_sorted(nms_pre, score_thr):
    """As many of each level, from pictures with many and with none; scores are some of few values, so that many are equal."""
    scores = torch.randint(0, 8, (3, 9, 4), generator=torch.Generator().manual_seed(1)) / 2
    scores[1, :, 3] = 9.  # background
    probabilities = scores.softmax(dim=-1)[..., :-1]
    values, _ = pick_candidates(probabilities, (5, 3, 1), nms_pre)
    found, places = pick_above(scores, (5, 3, 1), nms_pre, score_thr)
    for image in range(3):
        expected = [value for value in values[image].tolist() if value > score_thr]
        above = found[image] > score_thr
        assert found[image][above].tolist() == expected
        assert probabilities[image].flatten()[places[image][above]].tolist() == expected
        assert len(set(places[image][above].tolist())) == len(expected)
        assert torch.isinf(found[image][~above]).all()


def test_offsets_move_the_boxes_that_they_belong_to(device):
    anchors = Anchors.from_boxes(torch.tensor(BOXES), [2, 1]).to(device)
    deltas = torch.tensor([[[0., 0., 0., 0.], [0., 0., 0., 0.], [1., -1., 0., 0.]]]).to(device)
    coder = DeltaXYWHBBoxCoder(target_stds=(.1, .1, .2, .2))
    (result,) = detect(torch.tensor([SCORES]).log().to(device), deltas, anchors, coder, (META,), SSDTestCfg(), rescale=False)
    np.testing.assert_allclose(result.bboxes, [BOXES[0], [51, 49, 61, 59], BOXES[1]], rtol=1e-6)


def test_scores_in_half_precision_are_computed_in_float32():
    anchors = Anchors.from_boxes(torch.tensor(BOXES), [3])
    logits = torch.tensor([SCORES]).log().to(torch.bfloat16)
    (result,) = detect(logits, torch.zeros(1, 3, 4, dtype=torch.bfloat16), anchors, DeltaXYWHBBoxCoder(), (META,),
                       SSDTestCfg(score_thr=0.03), rescale=False)
    expected = logits.float().softmax(dim=-1)[0, [0, 2, 1], [0, 1, 1]]
    assert result.scores.tolist() == expected.tolist()
    assert result.bboxes.tolist() == [BOXES[0], BOXES[2], BOXES[1]]


@pytest.mark.parametrize('options', [{'score_thr': '0.02'}, {'score_thr': None}, {'score_thr': True},
                                     {'score_thr': float('nan')}, {'score_thr': [0.1]}, {'max_per_img': None},
                                     {'max_per_img': 2.5}, {'nms_pre': None}, {'nms_pre': '1000'}, {'nms_pre': True}])
def test_limits_that_are_no_numbers_are_refused_in_one_line(options):
    (name, value), = options.items()
    with pytest.raises(ConfigError) as error:
        SSDTestCfg(**options)
    assert str(error.value).startswith(f'{name} {value!r}: expected ') and '\n' not in str(error.value)


def test_a_least_box_size_is_refused_because_it_would_do_nothing():
    with pytest.raises(ConfigError, match='min_bbox_size'):
        SSDTestCfg(min_bbox_size=1)


def test_detections_are_a_tuple_of_arrays():
    result = Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    bboxes, scores, labels = result
    assert (len(bboxes), len(scores), len(labels)) == (1, 1, 1)


def levels_of(num_level):
    """The boxes of each level."""
    start = 0
    for count in num_level:
        yield range(start, start + count)
        start += count


def candidates_in_a_loop(probabilities, num_level, score_thr, nms_pre, counts):
    """{(box, class): score} that may be detected: MMDetection's two meanings of nms_pre and torchvision's, for one picture."""
    left = {}
    if counts == 'class':  # threshold, then the best boxes of each class on all levels
        for label in range(probabilities.shape[1]):
            above = [box for box in range(len(probabilities)) if probabilities[box, label] > np.float32(score_thr)]
            best = sorted(above, key=lambda box: -probabilities[box, label])[:nms_pre if nms_pre > 0 else None]
            left.update({(box, label): probabilities[box, label] for box in best})
        return left
    for boxes in levels_of(num_level):
        if counts == 'pairs':  # since 2.18: threshold, then the best pairs
            pairs = [(box, label) for box in boxes for label in range(probabilities.shape[1])]
            above = [pair for pair in pairs if probabilities[pair] > np.float32(score_thr)]
            chosen = sorted(above, key=lambda pair: -probabilities[pair])[:nms_pre if nms_pre > 0 else None]
        else:  # before: the boxes that are best at their best class, then the threshold on each of their classes
            best = sorted(boxes, key=lambda box: -max(probabilities[box]))[:nms_pre if nms_pre > 0 else None]
            chosen = [(box, label) for box in best for label in range(probabilities.shape[1])
                      if probabilities[box, label] > np.float32(score_thr)]
        left.update({pair: probabilities[pair] for pair in chosen})
    return left


@pytest.mark.parametrize('nms_pre', [-1, 1, 3, 50])
@pytest.mark.parametrize('counts', ['pairs', 'boxes', 'class'])
def test_candidates_and_detections_are_those_of_a_loop_over_boxes_and_classes(counts, nms_pre):
    rng = np.random.default_rng(nms_pre + 1)
    left_top, sides = rng.permutation(24).reshape(12, 2), rng.integers(10, 20, (12, 2))
    boxes = 2 * np.concatenate([left_top, left_top + sides], axis=1).astype(np.float32)  # even: exact when decoded
    logits = torch.from_numpy(rng.normal(0, 1.5, (2, 12, 4)).astype(np.float32))
    anchors, num_level = Anchors.from_boxes(torch.from_numpy(boxes), (7, 4, 1)), (7, 4, 1)
    cfg = SSDTestCfg(score_thr=0.15, nms=GreedyNMS(0.3), max_per_img=6, nms_pre=nms_pre, nms_pre_counts=counts)
    arguments = (logits, torch.zeros(2, 12, 4), anchors, DeltaXYWHBBoxCoder(), (META, META))
    places = {tuple(box): i for i, box in enumerate(boxes.tolist())}
    results = zip(detect(*arguments, cfg, rescale=False), detect(*arguments, cfg.without_suppression(), rescale=False))
    for probabilities, (result, everything) in zip(logits.softmax(dim=-1)[..., :-1].numpy(), results):
        expected = candidates_in_a_loop(probabilities, num_level, 0.15, nms_pre, counts)
        assert {(places[tuple(box)], label): score for box, score, label
                in zip(everything.bboxes.tolist(), everything.scores, everything.labels.tolist())} == expected
        pairs = sorted(expected, key=lambda pair: -expected[pair])
        rows = np.array([boxes[box] for box, _ in pairs]).reshape(-1, 4)
        kept, _ = GreedyNMS(0.3)(rows, np.array([expected[pair] for pair in pairs]), np.array([label for _, label in pairs]), 6)
        assert [(places[tuple(box)], label) for box, label in zip(result.bboxes.tolist(), result.labels.tolist())] == [
            pairs[i] for i in kept]


def test_counting_boxes_or_pairs_is_a_difference():
    """Of one level's three boxes the best two are 0 and 1; of its pairs, (0, class 0) and (1, class 0)."""
    assert found(nms_pre=2, nms_pre_counts='boxes')[0].labels.tolist() == [0, 1]
    assert found(nms_pre=2)[0].labels.tolist() == [0]


def test_counting_anything_else_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="nms_pre_counts 'anchors': expected 'pairs'") as error:
        SSDTestCfg(nms_pre_counts='anchors')
    assert '\n' not in str(error.value)


def test_softly_suppressed_detections_have_the_lowered_scores():
    """Boxes 0 and 1 overlap by 0.68; 1 scores 0.8 in class 0, 0.15 in class 1."""
    (result,) = found(nms=SoftNMS(0.45))
    overlap = 81 / 119
    assert result.labels.tolist() == [0, 1, 0, 1]
    assert result.scores.tolist() == pytest.approx([.9, .5, .8 * (1 - overlap), .15], abs=1e-6)
    assert result.bboxes.tolist() == [BOXES[0], BOXES[2], BOXES[1], BOXES[1]]


@pytest.mark.parametrize('direction, expected', [('horizontal', [240., 50., 250., 60.]), ('vertical', [50., 140., 60., 150.]),
                                                 ('diagonal', [240., 140., 250., 150.])])
def test_boxes_of_a_mirrored_picture_are_in_pixels_of_the_original_if_rescaled(direction, expected):
    meta = {'img_shape': (200, 300, 3), 'scale_factor': np.ones(4, np.float32), 'flip': True, 'flip_direction': direction}
    assert found(metas=(meta,), rescale=True)[0].bboxes[1].tolist() == expected
    assert found(metas=(meta,), rescale=False)[0].bboxes[1].tolist() == BOXES[2]


def test_a_mirrored_and_scaled_view_is_unmirrored_first():
    meta = {'img_shape': (100, 200, 3), 'scale_factor': [2., .5, 2., .5], 'flip': True, 'flip_direction': 'diagonal'}
    assert to_original(np.array([[10., 20., 50., 40.]], np.float32), meta).tolist() == [[75., 120., 95., 160.]]


def test_views_of_a_picture_are_suppressed_together():
    """The second view finds box 0 a little worse, which the first view's drops, and a box of its own."""
    first = Detections(np.array([[0, 0, 10, 10]], np.float32), np.array([.9], np.float32), np.array([1]))
    second = Detections(np.array([[0, 0, 10, 9], [50, 50, 60, 60]], np.float32), np.array([.8, .95], np.float32),
                        np.array([1, 1]))
    result = suppress([first, second], SSDTestCfg())
    assert result.bboxes.tolist() == [[50, 50, 60, 60], [0, 0, 10, 10]] and result.scores.tolist() == pytest.approx([.95, .9])
    assert suppress([first, second], SSDTestCfg(max_per_img=1)).bboxes.tolist() == [[50, 50, 60, 60]]


def test_a_view_without_candidates_changes_nothing():
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    full = Detections(np.array([[0, 0, 10, 10]], np.float32), np.array([.9], np.float32), np.array([1]))
    assert suppress([empty, full, empty], SSDTestCfg()).bboxes.tolist() == [[0, 0, 10, 10]]
    nothing = suppress([empty, empty], SSDTestCfg())
    assert [part.shape for part in nothing] == [(0, 4), (0,), (0,)]
    assert [part.dtype for part in nothing] == [np.float32, np.float32, np.int64]
