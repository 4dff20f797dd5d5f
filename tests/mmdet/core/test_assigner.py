"""Matching of default boxes with ground truth, against MMDetection's four steps done box by box."""
from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.core.anchor.anchor_generator import Anchors, SSDAnchorGenerator
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou import bbox_overlaps

SSD = {'pos_iou_thr': 0.5, 'neg_iou_thr': 0.5, 'min_pos_iou': 0.0, 'gt_max_assign_all': False}
SETTINGS = [
    SSD,
    {**SSD, 'gt_max_assign_all': True},
    {**SSD, 'match_low_quality': False},
    {'pos_iou_thr': 0.7, 'neg_iou_thr': 0.3, 'min_pos_iou': 0.3},
    {'pos_iou_thr': 0.6, 'neg_iou_thr': 0.4, 'min_pos_iou': 0.25, 'gt_max_assign_all': False},
    {'pos_iou_thr': 0.5, 'neg_iou_thr': (0.125, 0.5)},
]
IGNORING = [
    {**SSD, 'ignore_iof_thr': 0.5},
    {'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4, 'ignore_iof_thr': 0.25, 'ignore_wrt_candidates': False},
    {'pos_iou_thr': 0.5, 'neg_iou_thr': (0.125, 0.5), 'min_pos_iou': 0.25, 'ignore_iof_thr': 0.5},
]
# Few coordinates, so that overlaps tie, coincide with thresholds, and are zero.
edges = st.integers(0, 6).map(float)
boxes = st.tuples(edges, edges, edges, edges).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]) + 1, max(c[1], c[3]) + 1))
box_lists = st.lists(boxes, min_size=1, max_size=8)


def match_by_steps(default_boxes, ground_truths, setting, regions=()):
    """(A,) list: -1 ignored, 0 background, k + 1 matched to ground truth k; for one image."""
    if len(ground_truths) == 0:
        return [0] * len(default_boxes)
    overlaps = bbox_overlaps(torch.tensor(ground_truths), default_boxes).tolist()
    numbers = range(len(ground_truths))
    lowest, below = setting['neg_iou_thr'] if isinstance(setting['neg_iou_thr'], tuple) else (0, setting['neg_iou_thr'])
    for region in regions:  # 0. ignored boxes overlap nothing, less than nothing even
        pairs = [(box, region) for box in default_boxes.tolist()]
        for box, pair in enumerate(pairs):
            share = bbox_overlaps(*torch.tensor(pair if setting.get('ignore_wrt_candidates', True) else pair[::-1])[:, None],
                                  'iof').item()
            if share > setting['ignore_iof_thr']:
                for row in overlaps:
                    row[box] = -1
    result = [-1] * len(default_boxes)  # 1.
    for box in range(len(default_boxes)):
        best = max(numbers, key=lambda k, box=box: overlaps[k][box])
        if lowest <= overlaps[best][box] < below:  # 2.
            result[box] = 0
        if overlaps[best][box] >= setting['pos_iou_thr']:  # 3.
            result[box] = best + 1
    if setting.get('match_low_quality', True):  # 4. in order, later ones overwrite
        for k in numbers:
            best = max(overlaps[k])
            if best <= 0 or best < setting.get('min_pos_iou', 0):  # that 0 does not claim is our difference from MMDetection
                continue
            if setting.get('gt_max_assign_all', True):
                result = [k + 1 if overlap == best else before for overlap, before in zip(overlaps[k], result)]
            else:
                result[overlaps[k].index(best)] = k + 1
    return result


def as_anchors(default_boxes):
    return Anchors.from_boxes(torch.as_tensor(default_boxes, dtype=torch.float32), [len(default_boxes)])


def padded(ground_truths, size, filler):
    """A batch of one: (1, size, 4) and labels (1, size), -1 where padded."""
    gt_bboxes = torch.tensor(filler).expand(1, size, 4).clone()
    gt_bboxes[0, :len(ground_truths)] = torch.tensor(ground_truths).reshape(-1, 4)
    return gt_bboxes, (torch.arange(size) < len(ground_truths)).long()[None] - 1


def match(setting, anchors, gt_bboxes, gt_labels, *masks):
    """Lists for each image in the form of `match_by_steps`."""
    found = MaxIoUAssigner(**setting).assign(anchors, gt_bboxes, gt_labels, *masks)
    assert not (found.positive & found.negative).any()
    return torch.where(found.positive, found.matched + 1, torch.where(found.negative, 0, -1)).tolist()


@pytest.mark.parametrize('setting', SETTINGS)
@given(default_boxes=box_lists, ground_truths=st.lists(boxes, max_size=6), extra=st.integers(0, 3), filler=boxes)
def test_matches_follow_the_four_steps(setting, default_boxes, ground_truths, extra, filler):
    anchors = as_anchors(default_boxes)
    gt_bboxes, gt_labels = padded(ground_truths, max(1, len(ground_truths) + extra), filler)
    assert match(setting, anchors, gt_bboxes, gt_labels) == [match_by_steps(anchors.boxes, ground_truths, setting)]


@pytest.mark.parametrize('setting', IGNORING)
@settings(max_examples=50)
@given(default_boxes=box_lists, ground_truths=st.lists(boxes, max_size=4), regions=st.lists(boxes, max_size=3))
def test_ignored_regions_follow_the_steps_too(setting, default_boxes, ground_truths, regions):
    anchors = as_anchors(default_boxes)
    gt_bboxes, gt_labels = padded(ground_truths, max(1, len(ground_truths)), (0., 0., 0., 0.))
    gt_bboxes_ignore, _ = padded(regions, 4, (0., 0., 0., 0.))
    actual = match(setting, anchors, gt_bboxes, gt_labels, gt_bboxes_ignore)
    assert actual == [match_by_steps(anchors.boxes, ground_truths, setting, regions)]


def test_a_box_inside_an_ignored_region_takes_no_part_whatever_it_overlaps():
    """Of two boxes that fit the ground truth, the better one is ignored: the other is claimed. Without ground truth, all is
    background, as in MMDetection."""
    anchors = as_anchors([[0., 0., 10., 10.], [0., 0., 10., 4.], [20., 20., 30., 30.], [40., 40., 50., 50.]])
    gt_bboxes, gt_labels = torch.tensor([[[0., 0., 10., 10.]]] * 2), torch.tensor([[0], [-1]])
    regions = torch.tensor([[[0., 3., 10., 10.], [19., 19., 40., 40.], [0., 0., 0., 0.]]] * 2)
    assert match(IGNORING[0], anchors, gt_bboxes, gt_labels, regions) == [[-1, 1, -1, 0], [0, 0, 0, 0]]
    assert match(SSD, anchors, gt_bboxes, gt_labels, regions) == [[1, 0, 0, 0], [0, 0, 0, 0]]


def test_the_share_may_be_of_the_region_instead():
    anchors = as_anchors([[0., 0., 100., 100.], [200., 200., 210., 210.]])
    arguments = anchors, torch.tensor([[[200., 200., 210., 210.]]]), torch.tensor([[0]]), torch.tensor([[[10., 10., 20., 20.]]])
    assert match(IGNORING[0], *arguments) == [[0, 1]]
    assert match({**IGNORING[0], 'ignore_wrt_candidates': False}, *arguments) == [[-1, 1]]


@pytest.mark.parametrize('setting', SETTINGS + IGNORING)
@settings(max_examples=30)
@given(default_boxes=st.lists(st.tuples(boxes, st.booleans()), min_size=1, max_size=8),
       ground_truths=st.lists(boxes, max_size=4))
def test_boxes_that_are_not_valid_might_as_well_not_exist(setting, default_boxes, ground_truths):
    gt_bboxes, gt_labels = padded(ground_truths, 4, (0., 0., 0., 0.))
    regions = torch.tensor([[[0., 0., 3., 3.]]])
    valid = torch.tensor([[flag for _, flag in default_boxes]])
    (actual,) = match(setting, as_anchors([box for box, _ in default_boxes]), gt_bboxes, gt_labels, regions, valid)
    kept = [box for box, flag in default_boxes if flag]
    expected = iter(match(setting, as_anchors(kept), gt_bboxes, gt_labels, regions)[0] if kept else [])
    assert actual == [next(expected) if flag else -1 for _, flag in default_boxes]


@settings(max_examples=25)
@given(default_boxes=box_lists, batch=st.lists(st.lists(boxes, max_size=4), min_size=2, max_size=4))
def test_images_of_a_batch_do_not_touch_each_other(default_boxes, batch):
    anchors, size = as_anchors(default_boxes), max([1] + [len(one) for one in batch])
    parts = [padded(one, size, (0., 0., 6., 6.)) for one in batch]
    together = match(SSD, anchors, *(torch.cat(part) for part in zip(*parts)))
    assert together == [match(SSD, anchors, *part)[0] for part in parts]


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize('filler', [(0., 0., 0., 0.), (0., 0., 300., 300.), (-1e6, -1e6, 1e6, 1e6), (9., 9., 3., 3.)])
def test_more_padding_changes_nothing_whatever_it_holds(setting, filler):
    torch.manual_seed(0)
    anchors = as_anchors(torch.rand(200, 2, 2).sort(dim=1).values.flatten(1) * 100)
    ground_truths = (torch.rand(5, 2, 2).sort(dim=1).values.flatten(1) * 100).tolist()
    results = [match(setting, anchors, *padded(ground_truths, size, filler)) for size in (5, 6, 8, 64)]
    assert results == [results[0]] * 4


def test_padding_may_stand_between_ground_truths():
    anchors = as_anchors([[0., 0., 10., 10.], [20., 20., 30., 30.]])
    gt_bboxes = torch.tensor([[[0., 0., 10., 10.], [20., 20., 30., 30.], [20., 20., 30., 29.]]])
    assert match(SSD, anchors, gt_bboxes, torch.tensor([[7, -1, 0]])) == [[1, 3]]


@pytest.mark.parametrize('setting', SETTINGS)
def test_without_ground_truth_everything_is_background(setting):
    anchors = as_anchors([[0., 0., 10., 10.], [20., 20., 30., 30.]])
    assert match(setting, anchors, torch.zeros(2, 4, 4), torch.full((2, 4), -1)) == [[0, 0]] * 2


def test_of_two_ground_truths_that_claim_one_box_the_later_wins_even_if_it_overlaps_less():
    anchors = as_anchors([[0., 0., 10., 10.], [20., 20., 30., 30.]])
    gt_bboxes = torch.tensor([[[0., 0., 10., 9.], [1., 1., 9., 9.]]])
    assert match(SSD, anchors, gt_bboxes, torch.zeros(1, 2)) == [[2, 0]]


def test_of_two_equal_ground_truths_the_earlier_has_the_boxes_over_the_threshold_and_the_later_the_claimed_one():
    anchors = as_anchors([[0., 0., 10., 9.], [0., 0., 10., 10.]])
    gt_bboxes = torch.tensor([[[0., 0., 10., 10.], [0., 0., 10., 10.]]])
    assert match(SSD, anchors, gt_bboxes, torch.zeros(1, 2)) == [[1, 2]]


def test_a_ground_truth_that_overlaps_no_box_stays_unmatched():
    """MMDetection's dynamic assigner makes box 0 positive here, its static one none; we follow the static one."""
    anchors = as_anchors([[0., 0., 10., 10.], [20., 20., 30., 30.]])
    gt_bboxes = torch.tensor([[[100., 100., 110., 110.]]])
    for setting in SETTINGS[:-1]:
        assert match(setting, anchors, gt_bboxes, torch.zeros(1, 1)) == [[0, 0]]
    assert match(SETTINGS[-1], anchors, gt_bboxes, torch.zeros(1, 1)) == [[-1, -1]]  # too little overlap even for background


def test_overlaps_between_the_thresholds_are_ignored():
    anchors = as_anchors([[0., 0., 10., 10.], [0., 0., 10., 5.], [0., 0., 10., 2.]])
    setting = {'pos_iou_thr': 0.7, 'neg_iou_thr': 0.3, 'min_pos_iou': 0.3}
    assert match(setting, anchors, torch.tensor([[[0., 0., 10., 10.]]]), torch.zeros(1, 1)) == [[1, -1, 0]]


def test_an_overlap_at_the_threshold_is_positive():
    anchors = as_anchors([[0., 0., 8., 8.], [0., 0., 8., 4.]])
    assert match(SSD, anchors, torch.tensor([[[0., 0., 8., 8.]]]), torch.zeros(1, 1)) == [[1, 1]]


def test_ssd300_matches_the_boxes_of_the_published_example(device):
    generator = SSDAnchorGenerator(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    anchors = generator.grid_anchors([(side, side) for side in (38, 19, 10, 5, 3, 1)], device)
    gt_bboxes = torch.tensor([[[10., 10., 100., 100.], [150., 150., 290., 280.], [200., 20., 215., 40.]],
                              [[5., 5., 295., 295.], [0., 0., 0., 0.], [0., 0., 0., 0.]]]).to(device)
    gt_labels = torch.tensor([[1, 0, 2], [0, -1, -1]]).to(device)
    found = MaxIoUAssigner(**SSD).assign(anchors, gt_bboxes, gt_labels)
    assert found.positive[0].nonzero().flatten().tolist() == [
        556, 560, 6023, 6131, 6137, 8008, 8009, 8010, 8011, 8014, 8016, 8068, 8071, 8338, 8339, 8344, 8345, 8399, 8405,
        8650, 8651, 8652, 8653]
    assert found.matched[0][found.positive[0]].bincount().tolist() == [11, 10, 2]
    assert found.negative.sum(dim=1).tolist() == [8709, 8724]
    assert found.positive[1].nonzero().flatten().tolist() == [8708, 8709, 8710, 8711, 8728, 8729, 8730, 8731]


@pytest.mark.parametrize('options, word', [
    ({'neg_iou_thr': 0.6}, 'neg_iou_thr <= pos_iou_thr'), ({'pos_iou_thr': 1.5}, '1.5'), ({'neg_iou_thr': -0.1}, '-0.1'),
    ({'neg_iou_thr': (0.4, 0.2)}, '0.4, 0.2')])
def test_thresholds_that_make_no_sense_are_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        MaxIoUAssigner(**{**SSD, **options})


def test_ignoring_without_regions_is_refused_and_says_where_to_name_them():
    with pytest.raises(ConfigError, match="'gt_bboxes_ignore' in the `Collect`"):
        match(IGNORING[0], as_anchors([[0., 0., 1., 1.]]), torch.zeros(1, 1, 4), torch.zeros(1, 1))


def test_what_mmdetection_configs_say_besides_is_accepted_and_changes_nothing():
    spoken = dict(type='MaxIoUAssigner', gpu_assign_thr=512, iou_calculator=dict(type='BboxOverlaps2D'), **SSD)
    made = build(spoken, BBOX_ASSIGNERS)
    assert vars(made) == vars(MaxIoUAssigner(**SSD))
    with pytest.raises(ConfigError, match='BboxOverlaps3D'):
        build({**spoken, 'iou_calculator': dict(type='BboxOverlaps3D')}, BBOX_ASSIGNERS)
