"""Boxes as offsets and back."""
from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.bbox.coder import MAX_LOG_RATIO, DeltaXYWHBBoxCoder

SSD_STDS = (0.1, 0.1, 0.2, 0.2)
side = st.floats(5, 200, width=32)
corner = st.floats(-50, 300, width=32)
boxes = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def shape(height, width):
    return torch.tensor(float(height)), torch.tensor(float(width))


@pytest.mark.parametrize('means, stds', [((0., 0., 0., 0.), SSD_STDS), ((.1, -.2, .3, -.4), (1., 2., .5, .25))])
@given(bbox=boxes, gt_bbox=boxes)
def test_decoding_inverts_encoding(means, stds, bbox, gt_bbox):
    coder = DeltaXYWHBBoxCoder(target_means=means, target_stds=stds)
    bbox, gt_bbox = torch.tensor([bbox]), torch.tensor([gt_bbox])
    torch.testing.assert_close(coder.decode(bbox, coder.encode(bbox, gt_bbox)), gt_bbox, rtol=1e-4, atol=1e-2)


def test_encoding_follows_its_formula():
    """Box 10 x 20 at (100, 100), ground truth 20 x 10 at (101, 98), centres."""
    coder = DeltaXYWHBBoxCoder(target_stds=SSD_STDS)
    actual = coder.encode(torch.tensor([95., 90., 105., 110.]), torch.tensor([91., 93., 111., 103.]))
    expected = [1 / 10 / .1, -2 / 20 / .1, math.log(2) / .2, -math.log(2) / .2]
    assert actual.tolist() == pytest.approx(expected, rel=1e-6)


def test_means_are_subtracted_before_the_division():
    coder = DeltaXYWHBBoxCoder(target_means=(.1, .2, .3, .4), target_stds=(.5, .5, .5, .5))
    bbox = torch.tensor([0., 0., 10., 10.])
    assert coder.encode(bbox, bbox).tolist() == pytest.approx([-.2, -.4, -.6, -.8])


def test_the_documented_example_decodes_to_the_documented_boxes():
    rois = torch.tensor([[0., 0., 1., 1.], [0., 0., 1., 1.], [0., 0., 1., 1.], [5., 5., 5., 5.]])
    deltas = torch.tensor([[0., 0., 0., 0.], [1., 1., 1., 1.], [0., 0., 2., -1.], [.7, -1.9, -.5, .3]])
    expected = torch.tensor([[0., 0., 1., 1.], [.1409, .1409, 2.8591, 2.8591], [0., .3161, 4.1945, .6839], [5., 5., 5., 5.]])
    torch.testing.assert_close(DeltaXYWHBBoxCoder().decode(rois, deltas, shape(32, 32)), expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize('index, deltas, expected', [
    (0, (1., -1., 2., 3.), (0., 0., 21.764160, 21.032248)),
    (8731, (.5, .5, -40., 40.), (157.751297, 0., 160.704178, 300.))])
def test_default_boxes_of_ssd300_decode_to_the_published_boxes(index, deltas, expected):
    generator = SSDAnchorGenerator(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    anchors = generator.grid_anchors([(size, size) for size in (38, 19, 10, 5, 3, 1)], torch.device('cpu')).boxes
    decoded = DeltaXYWHBBoxCoder(target_stds=SSD_STDS).decode(anchors[index], torch.tensor(deltas), shape(300, 300))
    assert decoded.tolist() == pytest.approx(expected, abs=1e-4)


def test_a_side_changes_by_at_most_the_factor_62_5():
    assert pytest.approx(4.135166556742356, abs=1e-15) == MAX_LOG_RATIO
    coder, bbox = DeltaXYWHBBoxCoder(), torch.tensor([-8., -8., 8., 8.])
    grown = coder.decode(bbox, torch.tensor([0., 0., 1e9, MAX_LOG_RATIO]))
    assert grown.tolist() == pytest.approx([-500., -500., 500., 500.], rel=1e-5)
    shrunk = coder.decode(bbox, torch.tensor([0., 0., -1e9, -MAX_LOG_RATIO]))
    assert shrunk.tolist() == pytest.approx([-.128, -.128, .128, .128], rel=1e-5)


def test_each_picture_has_its_own_limits():
    coder = DeltaXYWHBBoxCoder()
    bboxes = torch.tensor([[[-5., -5., 50., 50.]], [[-5., -5., 50., 50.]]])
    limits = torch.tensor([[20.], [30.]]), torch.tensor([[40.], [10.]])  # heights, widths
    decoded = coder.decode(bboxes, torch.zeros(2, 1, 4), limits)
    assert decoded.tolist() == [[[0., 0., 40., 20.]], [[0., 0., 10., 30.]]]


def test_boxes_are_not_clipped_if_so_configured_or_without_a_shape():
    bbox = torch.tensor([-5., -5., 50., 50.])
    assert DeltaXYWHBBoxCoder(clip_border=False).decode(bbox, torch.zeros(4), shape(20, 20)).equal(bbox)
    assert DeltaXYWHBBoxCoder().decode(bbox, torch.zeros(4)).equal(bbox)


def test_centres_move_by_at_most_as_many_pixels_as_asked_and_sides_then_shrink_without_limit():
    coder, bbox = DeltaXYWHBBoxCoder(add_ctr_clamp=True, ctr_clamp=4), torch.tensor([-8., -8., 8., 8.])
    assert coder.decode(bbox, torch.tensor([0.1, -0.2, 0., 0.])).tolist() == pytest.approx([-6.4, -11.2, 9.6, 4.8])
    assert coder.decode(bbox, torch.tensor([9., -9., 0., 0.])).tolist() == pytest.approx([-4., -12., 12., 4.])
    assert coder.decode(bbox, torch.tensor([0., 0., 1e9, -1e9])).tolist() == pytest.approx([-500., 0., 500., 0.], rel=1e-5)
    with pytest.raises(ConfigError, match='ctr_clamp 0'):
        DeltaXYWHBBoxCoder(add_ctr_clamp=True, ctr_clamp=0)


@pytest.mark.parametrize('options', [{'target_means': (0., 0., 0.)}, {'target_stds': (.1, .1, .2)},
                                     {'target_stds': (.1, .1, .2, 0.)}, {'target_stds': (.1, .1, -.2, .2)}])
def test_anything_but_four_means_and_four_positive_stds_is_refused(options):
    with pytest.raises(ConfigError, match='four means and four positive stds'):
        DeltaXYWHBBoxCoder(**options)
