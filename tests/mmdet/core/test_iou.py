"""Overlaps, against the definition and against each other."""
from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors, SSDAnchorGenerator
from mmdet.core.bbox.iou import EPS, BboxOverlaps2D, anchor_overlaps, bbox_overlaps, box_area, paired_overlaps

# Multiples of 1/4 up to 64: overlaps and areas are then exact in float32, and edges often coincide.
coordinates = st.integers(0, 256).map(lambda quarters: quarters / 4)
boxes = st.tuples(coordinates, coordinates, coordinates, coordinates).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])))
box_lists = st.lists(boxes, min_size=1, max_size=6)


def overlap_by_definition(a, b, mode='iou'):
    """Python floats, one pair of boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    base = area_a if mode == 'iof' else area_a + area_b - shared
    share = shared / base if base > 0 else 0.
    if mode != 'giou':
        return share
    around = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return share - (around - max(base, EPS)) / around if around > 0 else share


def ssd300():
    generator = SSDAnchorGenerator(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    return generator.grid_anchors([(side, side) for side in (38, 19, 10, 5, 3, 1)], torch.device('cpu'))


@pytest.mark.parametrize('mode', ['iou', 'iof', 'giou'])
@given(first=box_lists, second=box_lists)
def test_overlaps_are_those_of_the_definition(mode, first, second):
    actual = bbox_overlaps(torch.tensor(first), torch.tensor(second), mode)
    expected = torch.tensor([[overlap_by_definition(a, b, mode) for b in second] for a in first])
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6 if mode == 'giou' else 0)


@pytest.mark.parametrize('mode', ['iou', 'iof', 'giou'])
@given(pairs=st.lists(st.tuples(boxes, boxes), min_size=1, max_size=6))
def test_overlaps_of_pairs_are_the_diagonal_of_those_of_two_lists(mode, pairs):
    first, second = (torch.tensor(part) for part in zip(*pairs))
    paired = paired_overlaps(first, second, mode)
    assert paired.equal(bbox_overlaps(first, second, mode).diagonal())
    assert BboxOverlaps2D()(first, second, mode, is_aligned=True).equal(paired)
    assert BboxOverlaps2D()(first, second, mode).shape == (len(pairs), len(pairs))


def test_giou_of_boxes_far_apart_is_near_minus_one():
    a, b = torch.tensor([0., 0., 1., 1.]), torch.tensor([99., 99., 100., 100.])
    assert paired_overlaps(a, b, 'giou').item() == pytest.approx(-(10000 - 2) / 10000)
    assert paired_overlaps(a, a, 'giou').item() == 1


def test_another_measure_is_refused():
    with pytest.raises(ConfigError, match="'iou', 'iof' or 'giou', not 'diou'"):
        bbox_overlaps(torch.zeros(1, 4), torch.zeros(1, 4), 'diou')


@given(first=box_lists, second=box_lists)
def test_iou_is_symmetric_at_most_one_and_one_for_the_same_box(first, second):
    a, b = torch.tensor(first), torch.tensor(second)
    overlaps = bbox_overlaps(a, b)
    assert overlaps.equal(bbox_overlaps(b, a).t())
    assert overlaps.min() >= 0 and overlaps.max() <= 1
    assert bbox_overlaps(a, a).diagonal().equal((box_area(a) > 0).float())


def test_boxes_that_only_touch_do_not_overlap():
    a = torch.tensor([[0., 0., 10., 10.]])
    assert bbox_overlaps(a, torch.tensor([[10., 0., 20., 10.], [0., 10., 10., 20.], [10., 10., 20., 20.]])).sum() == 0


def test_leading_axes_are_batch_axes():
    a, b = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 5, 4)
    overlaps = bbox_overlaps(a, b)
    assert overlaps.shape == (2, 3, 4, 5)
    assert overlaps[1, 2].equal(bbox_overlaps(a[1, 2], b[1, 2]))


@given(ground_truths=box_lists, default_boxes=box_lists)
def test_overlaps_with_default_boxes_are_bit_equal_to_those_of_two_lists(ground_truths, default_boxes):
    anchors = Anchors.from_boxes(torch.tensor(default_boxes) + 0.1, [len(default_boxes)])
    gt_bboxes = torch.tensor(ground_truths) * 1.7
    assert anchor_overlaps(gt_bboxes[None], anchors)[0].equal(bbox_overlaps(gt_bboxes, anchors.boxes))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), num_images=st.integers(1, 3), num_gts=st.integers(1, 20))
def test_overlaps_with_the_boxes_of_ssd300_are_bit_equal_too(seed, num_images, num_gts):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(num_images, num_gts, 2, 2, generator=generator).sort(dim=2).values * 300
    gt_bboxes, anchors = corners.flatten(2), ssd300()
    assert anchor_overlaps(gt_bboxes, anchors).equal(bbox_overlaps(gt_bboxes, anchors.boxes))


def test_overlaps_agree_on_every_device(device):
    anchors, gt_bboxes = ssd300(), torch.tensor([[[10., 20., 200., 90.], [0., 0., 0., 0.]]])
    actual = anchor_overlaps(gt_bboxes.to(device), anchors.to(device)).cpu()
    torch.testing.assert_close(actual, anchor_overlaps(gt_bboxes, anchors), rtol=1e-6, atol=0)
