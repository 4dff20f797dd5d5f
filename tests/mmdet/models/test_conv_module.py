"""Convolution, norm and activation in one: keys, order, first weights."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.models.builder import ACTIVATION_LAYERS, NORM_LAYERS
from mmdet.models.conv_module import ConvModule, DepthwiseSeparableConvModule, build_conv_layer

BN = ['bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var', 'bn.num_batches_tracked']


def test_it_is_convolution_norm_relu_with_the_keys_of_checkpoints():
    assert list(ConvModule(3, 4, 3).state_dict()) == ['conv.weight', 'conv.bias']
    module = ConvModule(3, 4, 3, stride=2, padding=1, norm_cfg=dict(type='BN'))
    assert list(module.state_dict()) == ['conv.weight', *BN]
    assert [name for name, _ in module.named_children()] == ['conv', 'bn', 'activate']
    out = module(torch.randn(2, 3, 9, 9))
    assert out.shape == (2, 4, 5, 5) and out.min() == 0


def test_settings_may_be_dicts_or_what_build_makes_of_them():
    norm, act = dict(type='GN', num_groups=2), dict(type='LeakyReLU', negative_slope=0.2)
    modules = [ConvModule(3, 4, 1, norm_cfg=norm, act_cfg=act),
               ConvModule(3, 4, 1, norm_cfg=build(norm, NORM_LAYERS), act_cfg=build(act, ACTIVATION_LAYERS))]
    assert [str(module) for module in modules] == [str(modules[0])] * 2
    assert modules[0].norm is modules[0].gn and modules[0].activate.negative_slope == 0.2


def test_the_bias_goes_where_a_norm_comes_unless_it_is_asked_for():
    assert [ConvModule(3, 4, 1, bias=bias, norm_cfg=norm).conv.bias is not None
            for bias, norm in (('auto', None), ('auto', dict(type='BN')), (True, dict(type='BN')), (False, None))] == [
        True, False, True, False]


def test_steps_can_be_left_out_at_construction_and_in_a_call():
    module, x = ConvModule(3, 4, 1, norm_cfg=dict(type='BN')).eval(), torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        nn.init.constant_(module.bn.bias, 1.0)
        assert module(x, activate=False, norm=False).equal(module.conv(x))
        assert module(x, activate=False).equal(module.bn(module.conv(x)))
        assert module(x).equal(module.bn(module.conv(x)).relu())
    bare = ConvModule(3, 4, 1, act_cfg=None)
    assert bare(x).equal(bare.conv(x)) and bare.norm is None and not bare.with_activation


def test_the_order_is_as_asked_and_a_norm_that_comes_first_has_the_channels_that_come_in():
    module, x = ConvModule(3, 4, 1, norm_cfg=dict(type='BN'), order=('norm', 'act', 'conv')).eval(), torch.randn(1, 3, 5, 5)
    assert module.bn.num_features == 3
    assert module(x).equal(module.conv(module.bn(x).relu()))
    with pytest.raises(ConfigError, match="'conv', 'norm' and 'act', each once"):
        ConvModule(3, 4, 1, order=('conv', 'act'))


@pytest.mark.parametrize('act_cfg, gain', [(dict(type='ReLU'), 2), (dict(type='LeakyReLU', negative_slope=1.0), 1), (None, 2)])
def test_weights_begin_kaiming_normal_for_their_activation(act_cfg, gain):
    torch.manual_seed(0)
    conv = ConvModule(64, 128, 3, act_cfg=act_cfg).conv
    assert conv.weight.std().item() == pytest.approx((gain / (128 * 9)) ** .5, rel=.02)
    assert conv.bias.abs().sum() == 0


def test_a_spectral_norm_bounds_the_weight():
    module = ConvModule(8, 8, 1, with_spectral_norm=True).train()
    with torch.no_grad():
        module.conv.weight_orig.mul_(100)
    for _ in range(50):
        module(torch.zeros(1, 8, 1, 1))
    assert torch.linalg.svd(module.conv.weight.detach().flatten(1)).S[0].item() == pytest.approx(1, rel=1e-3)


def test_a_picture_is_padded_as_asked():
    x = torch.randn(1, 2, 4, 4)
    module = ConvModule(2, 2, 3, padding=1, padding_mode='reflect', act_cfg=None)
    padded = nn.functional.pad(x, (1, 1, 1, 1), 'reflect')
    torch.testing.assert_close(module(x), nn.functional.conv2d(padded, module.conv.weight, module.conv.bias))


def test_a_depthwise_separable_one_is_two():
    module = DepthwiseSeparableConvModule(6, 4, 3, stride=2, padding=1, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU6'))
    assert list(module.state_dict()) == [f'{part}.{key}' for part in ('depthwise_conv', 'pointwise_conv')
                                         for key in ('conv.weight', *BN)]
    assert [tuple(conv.weight.shape) for conv in (module.depthwise_conv.conv, module.pointwise_conv.conv)] == [
        (6, 1, 3, 3), (4, 6, 1, 1)]
    assert module(torch.randn(2, 6, 9, 9)).shape == (2, 4, 5, 5)


def test_both_of_them_have_settings_of_their_own():
    module = DepthwiseSeparableConvModule(6, 4, 3, norm_cfg=dict(type='BN'), dw_act_cfg=None, pw_norm_cfg=None,
                                          pw_act_cfg=dict(type='Tanh'))
    assert module.depthwise_conv.with_norm and not module.depthwise_conv.with_activation
    assert not module.pointwise_conv.with_norm and isinstance(module.pointwise_conv.activate, nn.Tanh)
    with pytest.raises(ConfigError, match='groups'):
        DepthwiseSeparableConvModule(6, 4, 3, groups=2)


def test_a_convolution_is_torchs_unless_the_config_says_otherwise():
    for cfg in (None, dict(type='Conv'), dict(type='Conv2d', groups=3)):
        layer = build_conv_layer(cfg, 3, 6, 3, padding=1)
        assert type(layer) is nn.Conv2d and layer.groups == (3 if cfg and 'groups' in cfg else 1)
    with pytest.raises(ConfigError, match="no component of CONV_LAYERS is called 'DCN'"):
        build_conv_layer(dict(type='DCN'), 3, 6, 3)
