"""`init_cfg`: what fills which layers."""
from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build, faults
from mmdet.models.builder import INITIALIZERS
from mmdet.models.first_weights import initialize


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(64, 128, 3)
        self.norm = nn.BatchNorm2d(128)
        self.head = nn.Sequential(nn.Conv2d(128, 32, 1), nn.Linear(128, 32))


def filled(cfg):
    torch.manual_seed(0)
    network = Net()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    initialize(network, build(cfg, INITIALIZERS))
    after = network.state_dict()
    return network, {name.rsplit('.', 1)[0] for name in after if not after[name].equal(before[name])}


@pytest.mark.parametrize('cfg, std', [
    (dict(type='Normal', std=0.01), 0.01), (dict(type='TruncNormal', std=0.03), 0.03),
    (dict(type='TruncNormal', std=1, a=-0.1, b=0.1), 0.2 / 12 ** .5), (dict(type='Uniform', a=-1, b=1), 2 / 12 ** .5),
    (dict(type='Xavier'), (2 / (64 * 9 + 128 * 9)) ** .5), (dict(type='Xavier', distribution='uniform', gain=2),
                                                             2 * (2 / (64 * 9 + 128 * 9)) ** .5),
    (dict(type='Kaiming'), (2 / (128 * 9)) ** .5), (dict(type='Kaiming', mode='fan_in'), (2 / (64 * 9)) ** .5),
    (dict(type='Caffe2Xavier'), (1 / (64 * 9)) ** .5)])
def test_each_draws_what_its_name_says_for_the_layers_of_a_kind(cfg, std):
    network, changed = filled(dict(cfg, layer='Conv2d'))
    assert network.body.weight.std().item() == pytest.approx(std, rel=0.02)
    assert network.body.bias.abs().sum() == 0 and changed == {'body', 'head.0'}


@pytest.mark.parametrize('layer, changed', [('BatchNorm2d', {'norm'}), ('_BatchNorm', {'norm'}),
                                            (['Conv2d', 'Linear'], {'body', 'head.0', 'head.1'})])
def test_a_kind_is_a_class_or_one_that_it_inherits_from(layer, changed):
    network, found = filled(dict(type='Constant', val=3, bias=2, layer=layer))
    assert found == changed
    for name, layer in network.named_modules():
        if name in changed:
            assert layer.weight.unique().tolist() == [3] and layer.bias.unique().tolist() == [2]


def test_a_bias_can_be_given_as_a_probability():
    network, _ = filled(dict(type='Normal', std=0.01, bias_prob=0.01, layer='Conv2d'))
    assert torch.sigmoid(network.body.bias).tolist() == pytest.approx([0.01] * 128)


def test_several_come_one_after_the_other_and_children_can_have_their_own():
    network, _ = filled([dict(type='Constant', val=1, layer='Conv2d'), dict(type='Constant', val=2, layer='Linear'),
                         dict(type='Constant', val=3, layer='BatchNorm2d',
                              override=dict(type='Constant', name='head', val=4, bias=5))])
    assert [layer.weight.unique().tolist() for layer in (network.body, network.norm, *network.head)] == [[1], [3], [4], [4]]
    assert network.head[1].bias.unique().tolist() == [5]
    network, changed = filled(dict(type='Normal', std=0.5, override=dict(name='body')))
    assert changed == {'body'} and network.body.weight.std().item() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize('cfg, words', [
    (dict(type='Normal', std=1), 'name the layers to fill'),
    (dict(type='Normal', layer='Conv2d', bias_prob=1.5), 'bias_prob 1.5'),
    (dict(type='Xavier', layer='Conv2d', distribution='gauss'), "'normal' or 'uniform'"),
    (dict(type='Normal', override=dict(type='Normal')), "expected dict(name='child', type=...)"),
    (dict(type='Normal', override=dict(name='haed')), "Net has no child 'haed'. Did you mean 'head'?")])
def test_what_cannot_be_is_refused(cfg, words):
    with pytest.raises(ConfigError) as error:
        filled(cfg)
    assert words in str(error.value)


def test_what_is_unknown_is_said_before_anything_is_built():
    assert "Did you mean 'TruncNormal'" in str(faults(dict(type='TruncatedNormal', std=1), INITIALIZERS)[0])
    assert math.isclose(build(dict(type='Normal', layer='Conv2d', bias_prob=.5), INITIALIZERS).bias, 0)
