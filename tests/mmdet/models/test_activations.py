"""`act_cfg`: which activation, and what is said of an unknown one."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.registry import build, faults
from mmdet.models.activations import build_activation_layer, following
from mmdet.models.builder import ACTIVATION_LAYERS

POINTS = [-4.0, -1.0, 0.0, 2.0, 7.0]
LOGISTIC = [0.01798620996, 0.26894142137, 0.5, 0.88079707798, 0.99908894881]  # 1 / (1 + exp(-x))


@pytest.mark.parametrize('cfg, values', [
    (dict(type='ReLU'), [0, 0, 0, 2, 7]), (dict(type='ReLU6'), [0, 0, 0, 2, 6]),
    (dict(type='LeakyReLU', negative_slope=0.1), [-0.4, -0.1, 0, 2, 7]),
    (dict(type='SiLU'), [x * y for x, y in zip(POINTS, LOGISTIC)]),
    (dict(type='Swish'), [x * y for x, y in zip(POINTS, LOGISTIC)]), (dict(type='Sigmoid'), LOGISTIC),
    (dict(type='HSwish'), [x * min(max(x + 3, 0), 6) / 6 for x in POINTS])])
def test_an_activation_is_the_function_of_its_name(cfg, values):
    x = torch.tensor(POINTS)
    assert build_activation_layer(cfg)(x).tolist() == pytest.approx(values, abs=1e-6)
    assert x.tolist() == POINTS


def test_each_call_of_the_factory_makes_a_layer_of_its_own():
    make = build(dict(type='PReLU'), ACTIVATION_LAYERS)
    assert make().weight is not make().weight


@pytest.mark.parametrize('cfg, inplace, expected', [
    (dict(type='ReLU6'), True, True), (dict(type='ReLU6'), False, False), (dict(type='ReLU6', inplace=False), True, False),
    (nn.ReLU, True, True)])
def test_what_follows_a_convolution_is_in_place_unless_its_settings_say_otherwise(cfg, inplace, expected):
    assert following(cfg, inplace).inplace is expected


def test_one_that_cannot_be_in_place_is_not():
    assert not hasattr(following(dict(type='Tanh'), True), 'inplace')


@pytest.mark.parametrize('cfg, words', [
    (dict(type='Relu'), "Did you mean 'ReLU'?"), (dict(type='RELU6'), "Did you mean 'ReLU6'?"),
    (dict(type='LeakyReLU', slope=1), "no such argument"), (dict(type='BN'), 'ACTIVATION_LAYERS is expected here')])
def test_what_is_no_activation_is_said_before_anything_is_built(cfg, words):
    assert words in str(faults(cfg, ACTIVATION_LAYERS)[0])
