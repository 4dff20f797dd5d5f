"""`norm_cfg`: which norm, by which name, and what is said of an unknown one."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build, faults
from mmcv_need.sync_norm import SyncBatchNorm
from mmdet.models.builder import NORM_LAYERS
from mmdet.models.norms import batch_norm, build_norm_layer, group_norm, norm_name


@pytest.mark.parametrize('cfg, kind, settings', [
    (dict(type='BN', eps=1e-3, momentum=0.03), nn.BatchNorm2d, dict(num_features=32, eps=1e-3, momentum=0.03)),
    (dict(type='BN2d', momentum=None), nn.BatchNorm2d, dict(num_features=32, eps=1e-5, momentum=None)),
    (dict(type='SyncBN', eps=1e-3), SyncBatchNorm, dict(num_features=32, eps=1e-3)),
    (dict(type='GN', num_groups=4), nn.GroupNorm, dict(num_channels=32, num_groups=4)),
    (dict(type='IN', affine=True), nn.InstanceNorm2d, dict(num_features=32, affine=True))])
def test_a_config_becomes_a_factory_that_waits_for_the_channels(cfg, kind, settings):
    layer = build(cfg, NORM_LAYERS)(32)
    assert type(layer) is kind
    assert {name: getattr(layer, name) for name in settings} == settings


def test_a_norm_can_be_kept_from_learning():
    assert [p.requires_grad for p in batch_norm(4, requires_grad=False).parameters()] == [False, False]
    assert [p.requires_grad for p in group_norm(4, 2).parameters()] == [True, True]


@pytest.mark.parametrize('cfg, name', [(dict(type='BN'), 'bn'), (dict(type='GN', num_groups=2), 'gn'), (dict(type='IN'), 'in')])
@pytest.mark.parametrize('postfix', ['', 1, '_a'])
def test_a_built_layer_comes_with_the_name_of_checkpoints(cfg, name, postfix):
    assert build_norm_layer(cfg, 8, postfix)[0] == f'{name}{postfix}'
    assert build_norm_layer(build(cfg, NORM_LAYERS), 8, postfix)[0] == f'{name}{postfix}'


def test_other_norms_are_called_by_their_class():
    class Own(nn.Module):
        _abbr_ = 'own'

    class MyLayerScale(nn.Module):
        pass

    assert [norm_name(layer) for layer in (Own(), MyLayerScale(), nn.Identity(), nn.LayerNorm(3))] == [
        'own', 'ln', 'norm_layer', 'ln']


def test_a_class_that_somebody_registers_waits_as_well(monkeypatch):
    monkeypatch.setattr('mmcv_need.registry._TABLE', {})

    @NORM_LAYERS.register_module()
    class Shift(nn.Module):
        def __init__(self, num_features: int, by: float = 1.0):
            super().__init__()
            self.bias = nn.Parameter(torch.full((num_features,), by))

    assert build_norm_layer(dict(type='Shift', by=2.0), 3)[1].bias.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize('cfg, words', [
    (dict(type='BatchNorm'), "no component of NORM_LAYERS is called 'BatchNorm'"),
    (dict(type='SyncBn'), "Did you mean 'SyncBN'?"),
    (dict(type='BN', epsilon=1), "Did you mean 'eps'?"), (dict(type='BN', num_features=3), 'no such argument'),
    (dict(type='BN', eps='1'), 'expected a value of type float'), (dict(type='ReLU'), 'NORM_LAYERS is expected here'),
    (dict(eps=1), "needs a 'type'")])
def test_what_is_no_norm_is_said_before_anything_is_built(cfg, words):
    assert words in str(faults(cfg, NORM_LAYERS)[0])


@pytest.mark.parametrize('groups', [0, 3])
def test_groups_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(ConfigError, match=f'num_groups {groups} does not divide 8 channels'):
        group_norm(8, groups)
