"""`reg_decoded_bbox`: the head compares boxes, by smooth L1 as MMDetection's, or by their overlap."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmcv_need.builder import build_optimizer
from mmcv_need.errors import ConfigError
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.registry import build
from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.models.builder import LOSSES
from mmdet.models.dense_heads.ssd_head import SSDHead, SSDTrainCfg

CFG = SSDTrainCfg(MaxIoUAssigner(0.5, 0.5, 0.0, gt_max_assign_all=False))
KINDS = ['IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss', 'BoundedIoULoss', 'L1Loss', 'SmoothL1Loss']
MAPS = [(6, 6), (3, 3)]


def small_head(loss_bbox=None, **options):
    generator = SSDAnchorGenerator(strides=[10, 20], ratios=[[2], [2, 3]], min_sizes=[8, 16], max_sizes=[16, 32])
    loss = None if loss_bbox is None else build(dict(type=loss_bbox, loss_weight=2.0), LOSSES)
    return SSDHead([4, 8], generator, num_classes=3, reg_decoded_bbox=True, loss_bbox=loss, **options)


def inputs(head, seed=0):
    """Scores, offsets and ground truth of three pictures with 2, 0 and 5 boxes."""
    generator = torch.Generator().manual_seed(seed)
    anchors = head.anchors(MAPS, torch.device('cpu'))
    scores = torch.randn(3, len(anchors.boxes), 4, generator=generator)
    deltas = torch.randn(3, len(anchors.boxes), 4, generator=generator).requires_grad_()
    corners = torch.rand(3, 5, 2, generator=generator) * 30
    gt_bboxes = torch.cat([corners, corners + 6 + torch.rand(3, 5, 2, generator=generator) * 24], dim=2)
    gt_labels = torch.randint(0, 3, (3, 5), generator=generator)
    gt_labels[0, 2:], gt_labels[1] = -1, -1
    return scores, deltas, anchors, gt_bboxes, gt_labels


@pytest.mark.parametrize('kind', [None, *KINDS])
def test_the_loss_is_the_sum_over_positive_boxes_by_their_number(kind):
    """As AnchorHead has it: a loop over positive boxes, each decoded by itself."""
    head = small_head(kind)
    scores, deltas, anchors, gt_bboxes, gt_labels = inputs(head)
    found = CFG.assigner.assign(anchors, gt_bboxes, gt_labels)
    loss, divisor = head.loss_bbox or build(dict(type='SmoothL1Loss'), LOSSES), found.positive.sum(1).clamp(min=1).sum()
    expected = torch.zeros(3)
    for n, a in found.positive.nonzero().tolist():
        box = head.bbox_coder.decode(anchors.boxes[a], deltas[n, a])
        expected[n] += loss(box[None], gt_bboxes[n, found.matched[n, a]][None], reduction_override='sum').detach()
    actual = head.loss(scores, deltas, anchors, gt_bboxes, gt_labels, CFG)
    assert found.positive.any(1).tolist() == [True, False, True]
    torch.testing.assert_close(actual['loss_bbox'].detach(), expected / divisor)
    actual['loss_bbox'].sum().backward()
    learning = deltas.grad.abs().sum(2) > 0
    assert torch.isfinite(deltas.grad).all() and not (learning & ~found.positive).any() and learning.any()


def test_without_a_loss_of_its_own_it_is_mmdetections(build_detector, recipe, stored, pad):
    """Smooth L1 in pixels of the decoded boxes."""
    data, head = stored('headloss_decoded.npz'), build_detector('ssd300_coco.py', **{'bbox_head.reg_decoded_bbox': True})
    scores, deltas = (torch.cat([torch.from_numpy(level).permute(0, 2, 3, 1).reshape(2, -1, size) for level in maps], dim=1)
                      for maps, size in zip(recipe.head_outputs(7, 2), (81, 4)))
    gt_bboxes, gt_labels = pad([recipe.boxes(300 + i, n) for i, n in enumerate(data['ns'].tolist())])
    anchors = head.bbox_head.anchors(recipe.SSD300_FEAT, torch.device('cpu'))
    losses = head.bbox_head.loss(scores, deltas.requires_grad_(), anchors, gt_bboxes, gt_labels, head.train_cfg)
    sum(loss.sum() for loss in losses.values()).backward()
    for name, values in losses.items():
        np.testing.assert_allclose(values.detach().numpy(), data[name], rtol=1e-6)
    levels = deltas.grad.split(anchors.num_level, dim=1)
    sums = [level.double().abs().sum().item() for level in levels]
    np.testing.assert_allclose(sums, data['grad_box_abssum'], rtol=1e-5, atol=1e-7)
    level = levels[2].reshape(2, 10, 10, 24).permute(0, 3, 1, 2)
    np.testing.assert_allclose(level.numpy(), data['grad_box_2'], rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings('ignore:Anomaly Detection')
@pytest.mark.parametrize('kind', KINDS)
def test_extreme_offsets_and_empty_padding_make_no_nan(kind):
    head = small_head(kind)
    scores, deltas, anchors, gt_bboxes, gt_labels = inputs(head)
    with torch.no_grad():
        deltas.mul_(1e3)
        gt_bboxes[gt_labels < 0] = 0
    with torch.autograd.detect_anomaly():
        losses = head.loss(scores, deltas, anchors, gt_bboxes, gt_labels, CFG)
        losses['loss_bbox'].sum().backward()
    assert torch.isfinite(losses['loss_bbox']).all() and torch.isfinite(deltas.grad).all()


@pytest.mark.skipif(not hasattr(torch, 'autocast'), reason='autocast on the CPU came with torch 1.10')
@pytest.mark.parametrize('kind', KINDS)
def test_half_outputs_are_decoded_and_compared_in_float32(kind):
    head = small_head(kind)
    scores, deltas, *rest = inputs(head)
    with torch.autocast('cpu', torch.bfloat16):
        half = head.loss(scores.half(), deltas.half(), *rest, CFG)
    exact = head.loss(scores.half().float(), deltas.half().float(), *rest, CFG)
    assert half['loss_bbox'].dtype == torch.float32 and half['loss_bbox'].equal(exact['loss_bbox'])


@pytest.mark.parametrize('kind', ['IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss'])
def test_training_moves_boxes_onto_their_objects(kind):
    """The offsets themselves are trained."""
    head = small_head(kind)
    scores, deltas, *rest = inputs(head)
    module = torch.nn.Module()
    module.deltas = torch.nn.Parameter(deltas.detach() * 0.1)
    step = OptimizerStep(build_optimizer(module, {'optimizer': dict(type='Adam', lr=0.1)}))
    losses = []
    for _ in range(100):
        loss = head.loss(scores, module.deltas, *rest, CFG)['loss_bbox'].sum()
        losses.append(loss.item())
        step.zero_grad()
        step.backward(loss)
        step.clip()
        step.step()
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize('options, words', [
    (dict(loss_bbox=build(dict(type='GIoULoss'), LOSSES)), 'set reg_decoded_bbox=True'),
    (dict(loss_bbox=build(dict(type='GIoULoss', reduction='sum'), LOSSES), reg_decoded_bbox=True), "leave it 'mean'")])
def test_what_would_not_be_what_it_says_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        SSDHead([4, 8], small_head().anchor_generator, **options)
