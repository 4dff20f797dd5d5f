"""BaseModule and MMCV's functions for first weights."""
from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmdet.models import layer_inits
from mmdet.models.base_module import BaseModule, ModuleList, Sequential, give_first_weights
from mmdet.models.conv_module import ConvModule


def made(function, *arguments, layer=None, **named):
    torch.manual_seed(0)
    layer = layer or nn.Conv2d(64, 128, 3)
    function(layer, *arguments, **named)
    return layer.weight.detach(), layer.bias.detach()


@pytest.mark.parametrize('function, arguments, deviation', [
    (layer_inits.normal_init, dict(std=0.3), 0.3), (layer_inits.uniform_init, dict(a=-1, b=1), 2 / math.sqrt(12)),
    (layer_inits.xavier_init, {}, math.sqrt(2 / (9 * (64 + 128)))),
    (layer_inits.xavier_init, dict(distribution='uniform'), math.sqrt(2 / (9 * (64 + 128)))),
    (layer_inits.kaiming_init, {}, math.sqrt(2 / (9 * 128))),
    (layer_inits.kaiming_init, dict(mode='fan_in'), math.sqrt(2 / 576)),
    (layer_inits.caffe2_xavier_init, {}, math.sqrt(1 / 576))])
def test_weights_have_the_deviation_of_the_formula_and_biases_are_zero(function, arguments, deviation):
    weight, bias = made(function, **arguments)
    assert weight.std().item() == pytest.approx(deviation, rel=0.02) and abs(weight.mean().item()) < 0.02 * deviation
    assert not bias.any()


def test_biases_constants_and_limits():
    weight, bias = made(layer_inits.constant_init, 0.5, bias=2)
    assert (weight == 0.5).all() and (bias == 2).all()
    assert made(layer_inits.trunc_normal_init, std=3, a=-1, b=1)[0].abs().max() <= 1
    assert torch.sigmoid(torch.tensor(layer_inits.bias_init_with_prob(0.01))).item() == pytest.approx(0.01)
    layer_inits.constant_init(nn.ReLU(), 1)  # has neither


class Old(nn.Module):
    """In the manner of MMDetection before 2.12."""

    def __init__(self):
        super().__init__()
        self.conv, self.calls = nn.Conv2d(1, 1, 1), 0

    def init_weights(self, pretrained=None):
        self.calls += 1


class Parent(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.own = nn.Conv2d(3, 4, 1)
        self.child = Sequential(nn.Conv2d(3, 4, 1), init_cfg=dict(type='Constant', layer='Conv2d', val=3.))
        self.more = ModuleList([nn.Conv2d(3, 4, 1), Old()])
        self.ours = ConvModule(3, 4, 1, act_cfg=None)


def test_a_modules_own_init_cfg_comes_first_and_its_childrens_after_it():
    parent = Parent([dict(type='Constant', layer='Conv2d', val=1.), dict(type='Constant', layer='Conv2d', val=2.)])
    parent.init_weights()
    assert (parent.own.weight == 2).all() and (parent.child[0].weight == 3).all() and (parent.more[0].weight == 2).all()
    assert parent.more[1].calls == 1 and parent.child.is_init


def test_weights_that_are_loaded_go_over_all_others(tmp_path):
    state = {key: torch.full_like(value, 9.) for key, value in Parent().state_dict().items()}
    torch.save(state, tmp_path / 'a.pth')
    parent = Parent(dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    parent.init_weights()
    assert (parent.child[0].weight == 9).all() and (parent.own.weight == 9).all()


@pytest.mark.newer_torch
def test_first_weights_are_made_once():
    parent = Parent(dict(type='Constant', layer='Conv2d', val=1.))
    give_first_weights(parent)
    nn.init.zeros_(parent.own.weight)
    give_first_weights(parent)
    assert not parent.own.weight.any()


def test_what_lies_within_modules_of_torch_is_found():
    old = Old()
    give_first_weights(nn.Sequential(nn.ReLU(), nn.Sequential(old)))
    assert old.calls == 1
