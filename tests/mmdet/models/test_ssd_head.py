"""The head: order of its outputs, its losses on the published example, and what it refuses."""
from __future__ import annotations

import math

import pytest
import torch

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.core.post_processing.detections import SSDTestCfg
from mmdet.models.dense_heads.ssd_head import SSDHead, SSDTrainCfg

ASSIGNER = MaxIoUAssigner(0.5, 0.5, 0.0, gt_max_assign_all=False)
MAPS = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]


@pytest.fixture(scope='module')
def ssd300():
    """A head of 8 channels a level."""
    generator = SSDAnchorGenerator(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    return SSDHead([8] * 6, generator)


def small_head(num_classes=3):
    generator = SSDAnchorGenerator(strides=[10, 20], ratios=[[2], [2, 3]], min_sizes=[8, 16], max_sizes=[16, 32])
    return SSDHead([4, 8], generator, num_classes=num_classes)


def test_outputs_have_a_row_for_each_default_box_in_the_order_of_the_boxes():
    """By convolutions that add their bias to the map: a row then tells its base box and class, and its cell."""
    head = small_head()
    levels = [torch.zeros(2, 4, 2, 3), torch.zeros(2, 8, 1, 2)]
    levels[0][:, 0] = torch.arange(6.).reshape(2, 3)
    with torch.no_grad():
        for convs, per_box in ((head.cls_convs, 4), (head.reg_convs, 4)):
            for level, conv in enumerate(convs):
                conv[0].weight.zero_()
                conv[0].weight[:, 0, 1, 1] = 1000.
                conv[0].bias.copy_(torch.arange(conv[0].out_channels) + 100 * level)
                assert conv[0].out_channels == per_box * (4, 6)[level]
        scores, deltas = head(levels)
    first = [[1000 * cell + 4 * base + column for column in range(4)] for cell in range(6) for base in range(4)]
    second = [[100 + 4 * base + column for column in range(4)] for _ in range(2) for base in range(6)]
    assert scores[1].tolist() == deltas[1].tolist() == first + second
    assert len(head.anchors([level.shape[-2:] for level in levels], levels[0].device).boxes) == scores.size(1) == 36


def test_the_published_losses_of_zero_scores_and_offsets(ssd300, device):
    """loss_cls is log 81 for each of three negatives and one positive."""
    anchors = ssd300.anchor_generator.grid_anchors(MAPS, device)
    gt_bboxes = torch.tensor([[[10., 10., 100., 100.], [150., 150., 290., 280.], [200., 20., 215., 40.]],
                              [[5., 5., 295., 295.], [0., 0., 0., 0.], [0., 0., 0., 0.]]]).to(device)
    gt_labels = torch.tensor([[1, 2, 3], [4, -1, -1]]).to(device)
    zeros = torch.zeros(2, 8732, 85).to(device)
    losses = ssd300.loss(zeros[..., :81], zeros[..., 81:], anchors, gt_bboxes, gt_labels, SSDTrainCfg(ASSIGNER))
    assert losses['loss_cls'].tolist() == pytest.approx([13.041590690612793, 4.536205768585205], rel=1e-6)
    assert losses['loss_bbox'].tolist() == pytest.approx([1.9683473110198975, 0.4721294343471527], rel=1e-6)
    assert losses['loss_cls'].sum().item() == pytest.approx(4 * math.log(81), rel=1e-6)


def test_pictures_without_ground_truth_have_zero_loss_and_finite_gradients(ssd300):
    anchors = ssd300.anchor_generator.grid_anchors(MAPS, torch.device('cpu'))
    scores, deltas = torch.randn(1, 8732, 81, requires_grad=True), torch.randn(1, 8732, 4, requires_grad=True)
    losses = ssd300.loss(scores, deltas, anchors, torch.zeros(1, 8, 4), torch.full((1, 8), -1), SSDTrainCfg(ASSIGNER))
    sum(loss.sum() for loss in losses.values()).backward()
    assert [loss.tolist() for loss in losses.values()] == [[0.], [0.]]
    assert scores.grad.abs().sum() == 0 and deltas.grad.abs().sum() == 0


def test_what_padding_holds_changes_nothing_even_in_the_gradients(ssd300):
    anchors = ssd300.anchor_generator.grid_anchors(MAPS, torch.device('cpu'))
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(1, 8732, 81, generator=generator)
    results = []
    for filler, size in (((0., 0., 0., 0.), 1), ((0., 0., 0., 0.), 8), ((0., 0., 300., 300.), 8), ((9., 9., 3., 3.), 64)):
        gt_bboxes = torch.tensor(filler).expand(1, size, 4).clone()
        gt_bboxes[0, 0] = torch.tensor([10., 10., 100., 100.])
        gt_labels = torch.full((1, size), -1).index_fill(1, torch.tensor([0]), 5)
        deltas = torch.ones(1, 8732, 4, requires_grad=True)
        losses = ssd300.loss(scores, deltas, anchors, gt_bboxes, gt_labels, SSDTrainCfg(ASSIGNER))
        losses['loss_bbox'].sum().backward()
        results.append((losses['loss_cls'].item(), losses['loss_bbox'].item(), deltas.grad.sum().item()))
    assert results == [results[0]] * 4
    assert all(math.isfinite(value) and value != 0 for value in results[0])


def test_the_loss_settings_reach_the_loss(ssd300):
    anchors = ssd300.anchor_generator.grid_anchors(MAPS, torch.device('cpu'))
    arguments = (torch.zeros(1, 8732, 81), torch.zeros(1, 8732, 4), anchors, torch.tensor([[[10., 10., 100., 100.]]]),
                 torch.tensor([[0]]))
    usual = ssd300.loss(*arguments, SSDTrainCfg(ASSIGNER))
    other = ssd300.loss(*arguments, SSDTrainCfg(ASSIGNER, smoothl1_beta=.1, neg_pos_ratio=1))
    assert other['loss_cls'].item() == pytest.approx(usual['loss_cls'].item() / 2)
    assert other['loss_bbox'].item() > usual['loss_bbox'].item()


def test_detections_are_of_the_boxes_with_high_scores():
    head = small_head()
    levels = [torch.zeros(1, 4, 2, 3), torch.zeros(1, 8, 1, 2)]
    anchors = head.anchors([level.shape[-2:] for level in levels], levels[0].device)
    scores = torch.tensor([0., 0., 0., 9.]).repeat(1, 36, 1)
    scores[0, 7] = torch.tensor([0., 9., 0., 0.])
    meta = {'img_shape': (20, 30, 3), 'scale_factor': [1., 1., 1., 1.]}
    (result,) = head.get_bboxes(scores, torch.zeros(1, 36, 4), anchors, [meta], SSDTestCfg())
    assert result.labels.tolist() == [1]
    clipped = torch.minimum(anchors.boxes[7].clamp(min=0), torch.tensor([30., 20., 30., 20.]))
    assert result.bboxes[0].tolist() == pytest.approx(clipped.tolist(), rel=1e-6)


def test_offsets_are_in_ssds_units_unless_the_config_says_otherwise():
    means, stds = small_head().bbox_coder._means_stds(torch.device('cpu'))
    assert means.tolist() == [0.] * 4
    assert stds.tolist() == pytest.approx([.1, .1, .2, .2])


def test_columns_of_no_class_have_their_share_of_the_probability_and_count_as_background():
    generator = SSDAnchorGenerator(strides=[10, 20], ratios=[[2], [2, 3]], min_sizes=[8, 16], max_sizes=[16, 32])
    head = SSDHead([4, 8], generator, num_classes=3, unnamed_classes=2)
    plain = SSDHead([4, 8], generator, num_classes=5)
    plain.load_state_dict(head.state_dict())
    levels = [torch.randn(2, 4, 2, 3), torch.randn(2, 8, 1, 2)]
    (scores, deltas), (all_scores, all_deltas) = head(levels), plain(levels)
    probabilities = all_scores.softmax(dim=-1)
    assert scores.shape[-1] == 4 and torch.equal(deltas, all_deltas)
    torch.testing.assert_close(scores.softmax(dim=-1)[..., :3], probabilities[..., :3])
    torch.testing.assert_close(scores.softmax(dim=-1)[..., 3], probabilities[..., 3:].sum(dim=-1))


def test_levels_and_classes_that_do_not_fit_are_refused():
    generator = small_head().anchor_generator
    with pytest.raises(ConfigError, match='in_channels has 3 levels, anchor_generator 2'):
        SSDHead([4, 8, 8], generator)
    with pytest.raises(ConfigError, match='num_classes'):
        SSDHead([4, 8], generator, num_classes=0)
    with pytest.raises(ConfigError, match='unnamed_classes'):
        SSDHead([4, 8], generator, unnamed_classes=-1)


@pytest.mark.parametrize('options, word', [({'allowed_border': 0}, 'allowed_border'), ({'pos_weight': 2}, 'pos_weight'),
                                           ({'smoothl1_beta': -1}, 'smoothl1_beta'), ({'neg_pos_ratio': -1}, 'neg_pos_ratio')])
def test_training_settings_that_are_not_ssds_are_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        SSDTrainCfg(ASSIGNER, **options)
