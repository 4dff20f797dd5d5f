"""Losses of boxes: MMDetection's numbers, a plain oracle, and boxes that are none."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build, faults
from mmdet.models.builder import LOSSES

CONFIGS = {'iou_log': dict(type='IoULoss'), 'iou_linear': dict(type='IoULoss', linear=True),
           'iou_square': dict(type='IoULoss', mode='square'), 'giou': dict(type='GIoULoss'), 'diou': dict(type='DIoULoss'),
           'ciou': dict(type='CIoULoss'), 'bounded': dict(type='BoundedIoULoss'),
           'smooth_l1': dict(type='SmoothL1Loss', beta=0.5), 'l1': dict(type='L1Loss')}
OVERLAPS = [name for name in CONFIGS if name not in ('smooth_l1', 'l1')]
ODD = torch.tensor([[0., 0., 0., 0.], [5., 5., 5., 9.], [9., 9., 3., 3.], [1., 1., 1e4, 1e4], [2., 2., 4., 4.],
                    [-3., -3., 3., 3.], [9., 0., 3., 6.]])


def by_hand(name, pred, target):
    """The papers' formulas for one pair of proper boxes, in Python's numbers."""
    (a1, b1, a2, b2), (x1, y1, x2, y2) = pred, target
    shared = max(0, min(a2, x2) - max(a1, x1)) * max(0, min(b2, y2) - max(b1, y1))
    union = (a2 - a1) * (b2 - b1) + (x2 - x1) * (y2 - y1) - shared
    width, height, iou = max(a2, x2) - min(a1, x1), max(b2, y2) - min(b1, y1), shared / union
    apart = ((a1 + a2 - x1 - x2) ** 2 + (b1 + b2 - y1 - y2) ** 2) / 4 / (width ** 2 + height ** 2)
    v = 4 / math.pi ** 2 * (math.atan((x2 - x1) / (y2 - y1)) - math.atan((a2 - a1) / (b2 - b1))) ** 2
    return {'iou_log': -math.log(max(iou, 1e-6)), 'iou_linear': 1 - iou, 'iou_square': 1 - iou ** 2,
            'giou': 1 - iou + (width * height - union) / (width * height), 'diou': 1 - iou + apart,
            'ciou': 1 - iou + apart + (v * v / (1 - iou + v) if iou > .5 else 0)}[name]


@pytest.mark.newer_torch
@pytest.mark.parametrize('name', CONFIGS)
def test_values_and_gradients_are_mmdetections(name, stored):
    data, loss = stored('box_losses.npz'), build(CONFIGS[name], LOSSES)
    pred, target = torch.from_numpy(data['pred']).requires_grad_(), torch.from_numpy(data['gt'])
    values = loss(pred, target, reduction_override='none')
    values.sum().backward()
    np.testing.assert_allclose(values.detach().numpy(), data[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pred.grad.numpy(), data[f'{name}_grad'], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name', CONFIGS)
def test_weights_and_reductions_are_mmdetections(name, stored):
    data, loss = stored('box_losses.npz'), build(dict(CONFIGS[name], loss_weight=2.0), LOSSES)
    pred, target = torch.from_numpy(data['pred']), torch.from_numpy(data['gt'])
    weight = (torch.arange(200) % 3).float()[:, None].expand(-1, 4)
    assert loss(pred, target, weight, avg_factor=37.0).item() == pytest.approx(data[f'{name}_avg'], rel=1e-5)
    assert loss(pred, target).item() == pytest.approx(2 * data[f'{name}_mean'], rel=1e-5)
    assert loss(pred, target, reduction_override='sum').item() == pytest.approx(2 * data[f'{name}_sum'], rel=1e-5)


@pytest.mark.parametrize('name', [name for name in OVERLAPS if name != 'bounded'])
def test_each_is_the_formula_of_its_paper(name):
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand(2, 200, 2, generator=generator) * 40
    pred, target = torch.cat([corners, corners + 1 + torch.rand(2, 200, 2, generator=generator) * 60], dim=2)
    actual = build(CONFIGS[name], LOSSES)(pred, target, reduction_override='none')
    expected = [by_hand(name, *pair) for pair in zip(pred.tolist(), target.tolist())]
    assert actual.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.filterwarnings('ignore:Anomaly Detection')
@pytest.mark.parametrize('name', CONFIGS)
def test_odd_boxes_have_finite_losses_and_gradients(name):
    """Empty, inverted, huge and equal ones; large equal ones have an IoU of exactly 1."""
    pairs = [(pred, target) for pred in ODD for target in ODD]
    pred = torch.stack([pred for pred, _ in pairs]).requires_grad_()
    with torch.autograd.detect_anomaly():
        values = build(CONFIGS[name], LOSSES)(pred, torch.stack([target for _, target in pairs]), reduction_override='none')
        values.sum().backward()
    assert torch.isfinite(values).all() and torch.isfinite(pred.grad).all()


@pytest.mark.parametrize('name', CONFIGS)
def test_equal_boxes_lose_nothing(name):
    boxes = torch.tensor([[0., 0., 10., 20.], [100., 50., 300., 290.]])
    assert build(CONFIGS[name], LOSSES)(boxes, boxes, reduction_override='none').abs().max() < 2e-6


@pytest.mark.skipif(not hasattr(torch, 'autocast'), reason='autocast on the CPU came with torch 1.10')
@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_predictions_are_compared_in_float32(name, dtype):
    """Areas of 300 x 300 are beyond float16."""
    pred, target = torch.tensor([[0., 0., 300., 280.]]).to(dtype), torch.tensor([[10., 0., 290., 300.]])
    with torch.autocast('cpu', torch.bfloat16):
        value = build(CONFIGS[name], LOSSES)(pred, target)
    assert value.dtype == torch.float32 and value.item() == build(CONFIGS[name], LOSSES)(pred.float(), target).item()


@pytest.mark.parametrize('cfg, words', [
    (dict(type='IoULoss', mode='cubic'), "mode 'cubic'"), (dict(type='GIoULoss', reduction='avg'), "reduction 'avg'"),
    (dict(type='DIoULoss', eps=0), 'eps 0'), (dict(type='BoundedIoULoss', beta=-1), 'beta -1')])
def test_settings_that_mean_nothing_are_refused(cfg, words):
    with pytest.raises(ConfigError, match=words):
        build(cfg, LOSSES)


def test_what_is_unknown_is_said_before_anything_is_built():
    assert "Did you mean 'GIoULoss'?" in str(faults(dict(type='GIOULoss'), LOSSES)[0])
    assert "Did you mean 'loss_weight'?" in str(faults(dict(type='CIoULoss', loss_weigth=1.), LOSSES)[0])


def test_a_sum_is_not_divided():
    boxes = torch.tensor([[0., 0., 10., 20.]])
    with pytest.raises(ConfigError, match='avg_factor divides a mean'):
        build(dict(type='L1Loss', reduction='sum'), LOSSES)(boxes, boxes, avg_factor=3)
