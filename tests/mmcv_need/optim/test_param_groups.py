"""Rates and decays by kind of layer and by name are MMCV's, parameter by parameter."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.builder import build_optimizer
from mmcv_need.errors import ConfigError
from mmcv_need.optim.param_groups import Paramwise, parameter_groups, places
from mmdet.models.layers import L2Norm

RULES = dict(bias_lr_mult=2.0, bias_decay_mult=0.0, norm_decay_mult=0.5, dwconv_decay_mult=0.25, dcn_offset_lr_mult=0.125)


class ModulatedDeformConv2d(nn.Module):
    """MMCV's, as far as the rules look: a layer of this name that holds `conv_offset`."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2))
        self.bias = nn.Parameter(torch.ones(2))
        self.conv_offset = nn.Conv2d(2, 3, 1)


class PackedDeformConv(ModulatedDeformConv2d):
    pass


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.group = nn.GroupNorm(2, 4)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.layer = nn.LayerNorm(4)
        self.depthwise = nn.Conv2d(4, 8, 3, groups=4)  # two of them to a channel
        self.l2_norm = L2Norm(4)
        self.deform = PackedDeformConv()
        self.conv_offset = nn.Conv2d(4, 2, 1)  # outside of a deformable layer it is a layer like another
        self.fc = nn.Linear(2, 2)


# MMCV's DefaultOptimizerConstructor with RULES, lr 1 and weight_decay 1: name -> (lr, weight_decay).
EXPECTED = {
    'scale': (1, 1),
    'conv.weight': (1, 1), 'conv.bias': (2, 0),
    'bn.weight': (1, 0.5), 'bn.bias': (1, 0.5), 'group.weight': (1, 0.5), 'group.bias': (1, 0.5),
    'instance.weight': (1, 0.5), 'instance.bias': (1, 0.5), 'layer.weight': (1, 0.5), 'layer.bias': (1, 0.5),
    'depthwise.weight': (1, 0.25), 'depthwise.bias': (2, 0.25),
    'l2_norm.weight': (1, 1),
    'deform.weight': (1, 1), 'deform.bias': (2, 0),
    'deform.conv_offset.weight': (0.125, 1), 'deform.conv_offset.bias': (0.125, 1),
    'conv_offset.weight': (1, 1), 'conv_offset.bias': (2, 0),
    'fc.weight': (1, 1), 'fc.bias': (2, 0)}


def settings(groups):
    return {name: (group.get('lr'), group.get('weight_decay')) for group in groups for name in group['param_names']}


def test_each_parameter_has_the_rate_and_the_decay_of_its_kind():
    assert settings(parameter_groups(Net(), Paramwise(**RULES), 1.0, 1.0)) == EXPECTED


@pytest.mark.parametrize('rule', RULES)
def test_a_rule_alone_changes_what_it_is_for(rule):
    """Each factor, alone, at the parameters that have it in the table of all."""
    of_rate = rule.endswith('lr_mult')
    found = settings(parameter_groups(Net(), Paramwise(**{rule: 7.0}), 1.0, 1.0))
    changed = {name for name, (lr, decay) in found.items() if (lr if of_rate else decay) == 7.0}
    assert changed == {name for name, (lr, decay) in EXPECTED.items() if (lr if of_rate else decay) == RULES[rule]}
    assert {(decay if of_rate else lr) for lr, decay in found.values()} == {1.0}


def test_factors_multiply_the_optimizers_own_settings():
    config = {'optimizer': dict(type='SGD', lr=2e-3, momentum=0.9, weight_decay=5e-4, paramwise_cfg=RULES)}
    optimizer = build_optimizer(Net(), config)
    assert settings(optimizer.param_groups) == {name: (2e-3 * lr, 5e-4 * decay) for name, (lr, decay) in EXPECTED.items()}
    assert all(group['initial_lr'] == group['lr'] and group['momentum'] == 0.9 for group in optimizer.param_groups)


def test_parameters_of_equal_settings_share_a_group_in_the_models_order():
    model = Net()
    groups = parameter_groups(model, Paramwise(**RULES), 1.0, 1.0)
    assert len(groups) == len(set(EXPECTED.values())) == 6
    order = list(EXPECTED)
    assert all(group['param_names'] == sorted(group['param_names'], key=order.index) for group in groups)
    named = dict(model.named_parameters())
    assert all(group['params'][i] is named[name] for group in groups for i, name in enumerate(group['param_names']))


def test_without_rules_all_parameters_that_learn_form_one_group():
    model = Net()
    model.conv.weight.requires_grad = False
    (group,) = parameter_groups(model)
    assert group.keys() == {'params', 'param_names'}
    assert group['param_names'] == [name for name in EXPECTED if name != 'conv.weight']
    optimizer = build_optimizer(model, {'optimizer': dict(type='SGD', lr=0.1, paramwise_cfg={})})  # MMCV: {} says nothing
    assert len(optimizer.param_groups) == 1


def test_frozen_parameters_are_in_no_group():
    model = Net()
    model.bn.requires_grad_(False)
    assert set(EXPECTED) - set(settings(parameter_groups(model, Paramwise(**RULES), 1.0, 1.0))) == {'bn.weight', 'bn.bias'}
    with pytest.raises(ConfigError, match='no parameter of the model learns'):
        parameter_groups(model.requires_grad_(False), Paramwise())


@pytest.mark.parametrize('keys, expected', [
    ({'conv': dict(lr_mult=3.0)}, {'conv.weight': (3, 1), 'conv.bias': (3, 1), 'fc.bias': (2, 0), 'conv_offset.bias': (3, 1)}),
    ({'conv': dict(lr_mult=3.0), 'conv.bias': dict(decay_mult=0.5)}, {'conv.weight': (3, 1), 'conv.bias': (1, 0.5)}),
    ({'form.conv': dict(lr_mult=5.0), 'conv_offs': dict(lr_mult=4.0)},  # equally long: the first of the alphabet
     {'deform.conv_offset.weight': (4, 1), 'conv_offset.weight': (4, 1), 'deform.weight': (1, 1)}),
    ({'.weight': dict(decay_mult=0.0)}, {'scale': (1, 1), 'bn.weight': (1, 0), 'fc.weight': (1, 0), 'fc.bias': (2, 0)}),
    ({'.scale': dict(lr_mult=9.0)}, {'scale': (9, 1)}),  # MMCV puts a dot before the names of the model's own parameters
    ({'bn': {}}, {'bn.weight': (1, 1), 'group.weight': (1, 0.5)}),
])
def test_a_key_in_the_name_overrides_the_rules(keys, expected):
    found = settings(parameter_groups(Net(), Paramwise(custom_keys=keys, **RULES), 1.0, 1.0))
    assert {name: found[name] for name in expected} == expected


def test_a_key_that_is_in_no_name_is_announced():
    with pytest.warns(UserWarning, match=r"custom_keys: no parameter's name has 'bakbone' in it"):
        parameter_groups(Net(), Paramwise(custom_keys={'bakbone': dict(lr_mult=0.1)}), 1.0)


def tied():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.LayerNorm(2), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    return model


def test_a_parameter_of_two_layers_follows_the_first_if_the_config_says_so():
    with pytest.raises(ConfigError, match=r'0\.weight and 2\.weight are one parameter\. paramwise_cfg\.bypass_duplicate=True'):
        parameter_groups(tied(), Paramwise(norm_decay_mult=0.0), 1.0, 1.0)
    keys = {'0.': dict(lr_mult=3.0), '2.': dict(lr_mult=5.0)}
    with pytest.warns(UserWarning, match=r'2\.weight is 0\.weight, whose settings it has'):
        groups = parameter_groups(tied(), Paramwise(custom_keys=keys, bypass_duplicate=True), 1.0, 1.0)
    assert settings(groups) == {'0.weight': (3, 1), '1.weight': (1, 1), '1.bias': (1, 1), '2.bias': (5, 1)}
    assert settings(parameter_groups(tied())).keys() == {'0.weight', '1.weight', '1.bias', '2.bias'}


def test_the_places_of_a_model_are_its_parameters_in_its_order():
    model = Net()
    assert [f'{place.prefix}.{place.name}'.lstrip('.') for place in places(model)] == [n for n, _ in model.named_parameters()]


WRONG = {
    'a rule': (dict(norm_mult=0.0), r"^optimizer\.paramwise_cfg\.norm_mult: Paramwise .*Did you mean 'norm_decay_mult'\?"),
    'a factor': (dict(norm_decay_mult='none'), r"norm_decay_mult: .*expected a value of type float, not 'none'"),
    'no factor': (dict(bias_lr_mult=None), r'bias_lr_mult: Paramwise: expected a value of type float, not None'),
    'a factor below 0': (dict(bias_lr_mult=-1.0), r'bias_lr_mult: expected a number of 0 or more, not -1\.0'),
    'keys': (dict(custom_keys=['backbone']), r"custom_keys: Paramwise: expected a dict, not \['backbone'\]"),
    'a key': (dict(custom_keys={'backbone': 0.1}), r"custom_keys 'backbone': expected dict\(lr_mult=\.\.\., decay_mult"),
    'a word': (dict(custom_keys={'fc': dict(lr_mul=0.1)}), r"custom_keys 'fc': nothing reads 'lr_mul'\. .*'lr_mult'\?"),
    'a value': (dict(custom_keys={'fc': dict(lr_mult=True)}), r"custom_keys 'fc': lr_mult: expected a number .*, not True"),
    'no dict': (['fc'], r'optimizer\.paramwise_cfg: expected a dict'),
}


@pytest.mark.parametrize('case', WRONG)
def test_what_is_wrong_is_named(case):
    given, words = WRONG[case]
    with pytest.raises(ConfigError, match=words):
        build_optimizer(Net(), {'optimizer': dict(type='SGD', lr=1.0, weight_decay=1.0, paramwise_cfg=given)})


@pytest.mark.parametrize('rule', ['bias_decay_mult', 'norm_decay_mult', 'dwconv_decay_mult'])
def test_a_factor_of_the_decay_needs_a_decay(rule):
    for given in ({rule: 0.0}, {'custom_keys': {'fc': dict(decay_mult=0.0)}}):
        with pytest.raises(ConfigError, match=r'decay_mult multiplies optimizer\.weight_decay, which is not given'):
            build_optimizer(Net(), {'optimizer': dict(type='AdamW', lr=1.0, paramwise_cfg=given)})


def test_a_factor_of_the_rate_needs_a_rate():
    with pytest.raises(ConfigError, match=r'bias_lr_mult multiplies optimizer\.lr, which is not given'):
        build_optimizer(Net(), {'optimizer': dict(type='Adam', paramwise_cfg=dict(bias_lr_mult=2.0))})
