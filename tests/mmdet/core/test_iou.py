"""Overlaps, against the definition and against each other."""
from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet.core.anchor.anchor_generator import Anchors, SSDAnchorGenerator
from mmdet.core.bbox.iou import anchor_overlaps, bbox_overlaps, box_area

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
    base = area_a + area_b - shared if mode == 'iou' else area_a
    return shared / base if base > 0 else 0.


def ssd300():
    generator = SSDAnchorGenerator(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    return generator.grid_anchors([(side, side) for side in (38, 19, 10, 5, 3, 1)], torch.device('cpu'))


@pytest.mark.parametrize('mode', ['iou', 'iof'])
@given(first=box_lists, second=box_lists)
def test_overlaps_are_those_of_the_definition(mode, first, second):
    actual = bbox_overlaps(torch.tensor(first), torch.tensor(second), mode)
    expected = torch.tensor([[overlap_by_definition(a, b, mode) for b in second] for a in first])
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=0)


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
