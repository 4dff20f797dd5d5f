"""Default boxes and offsets of MMDetection 1.x, whose pixels have an extent."""
from __future__ import annotations

import math

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.registry import build
from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.anchor.legacy_anchor_generator import LegacySSDAnchorGenerator
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.bbox.legacy_coder import LegacyDeltaXYWHBBoxCoder
from mmdet.models.builder import HEADS

COCO300 = dict(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]], input_size=300,
               basesize_ratio_range=(0.15, 0.9))


def test_each_box_of_a_cell_follows_the_definition():
    made = LegacySSDAnchorGenerator(**COCO300)
    for level, base in enumerate(made.base_anchors):
        low, high, stride = made.min_sizes[level], made.max_sizes[level], COCO300['strides'][level]
        sides = [(low, low), (math.sqrt(low * high),) * 2]
        for ratio in COCO300['ratios'][level]:
            sides += [(low * math.sqrt(ratio), low / math.sqrt(ratio)), (low / math.sqrt(ratio), low * math.sqrt(ratio))]
        for row, (width, height) in zip(base.tolist(), sides):
            centre = (stride - 1) / 2
            exact = (centre - (width - 1) / 2, centre - (height - 1) / 2, centre + (width - 1) / 2, centre + (height - 1) / 2)
            assert all(abs(got - want) <= 0.5 + 1e-4 and got == int(got) for got, want in zip(row, exact))
    # The first level: 21 pixels around 3.5, sqrt(21 * 45) = 30.7, then 21 at ratios 1/2 and 2.
    assert made.base_anchors[0].tolist() == [[-6, -6, 14, 14], [-11, -11, 18, 18], [-11, -3, 18, 10], [-3, -11, 10, 18]]


def test_there_are_as_many_as_without_extent_and_about_there():
    sizes = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
    legacy, modern = (kind(**COCO300).grid_anchors(sizes, torch.device('cpu'))
                      for kind in (LegacySSDAnchorGenerator, SSDAnchorGenerator))
    assert len(legacy.boxes) == 8732 and legacy.num_level == modern.num_level
    assert (legacy.boxes - modern.boxes).abs().max() <= 1.5


def test_offsets_decode_to_the_numbers_that_mmdetection_documents():
    """`legacy_delta2bbox` in MMDetection 2.28.2's documentation: inputs and outputs of its example."""
    boxes = torch.tensor([[0., 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 5, 5]])
    deltas = torch.tensor([[0., 0, 0, 0], [1, 1, 1, 1], [0, 0, 2, -1], [0.7, -1.9, -0.5, 0.3]])
    expected = [[0, 0, 1.5, 1.5], [0, 0, 5.2183, 5.2183], [0, 0.1321, 7.8891, 0.8679], [5.3967, 2.4251, 6.0033, 3.7749]]
    shape = (torch.tensor(32.), torch.tensor(32.))
    assert torch.allclose(LegacyDeltaXYWHBBoxCoder().decode(boxes, deltas, shape), torch.tensor(expected), atol=1e-4)


def test_a_box_is_decoded_from_its_offsets_with_half_a_pixel_around():
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(50, 2, 2, generator=generator) * 100
    boxes, truth = torch.cat([low, low + 1 + torch.rand(50, 2, 2, generator=generator) * 80], dim=-1).unbind(1)
    coder = LegacyDeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2))
    around = torch.tensor([-0.5, -0.5, 0.5, 0.5])
    assert torch.allclose(coder.decode(boxes, coder.encode(boxes, truth)), truth + around, atol=1e-3)
    plain = DeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2))
    assert torch.equal(coder.encode(boxes, truth), plain.encode_from((boxes[:, :2] + boxes[:, 2:]) * 0.5,
                                                                     boxes[:, 2:] - boxes[:, :2] + 1, truth + around))


def test_boxes_are_clipped_to_the_centres_of_the_last_pixels():
    decoded = LegacyDeltaXYWHBBoxCoder().decode(torch.tensor([[-50., -50, 90, 90]]), torch.zeros(1, 4),
                                                (torch.tensor(40.), torch.tensor(60.)))
    assert decoded.tolist() == [[0, 0, 59, 39]]


@pytest.mark.parametrize('classes', [1, 80])
def test_a_head_is_built_of_both(classes):
    head = build(Config(dict(head=dict(
        type='SSDHead', in_channels=(8,) * 6, num_classes=classes,
        anchor_generator=dict(type='LegacySSDAnchorGenerator', **COCO300),
        bbox_coder=dict(type='LegacyDeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2])))), HEADS, key='head')
    assert isinstance(head.bbox_coder, LegacyDeltaXYWHBBoxCoder) and head.anchor_generator.num_levels == 6
