"""The extra layers."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.errors import ConfigError
from mmdet.models.necks.ssd_neck import SSDNeck
from mmdet.models.norms import batch_norm

SSD300 = {'in_channels': (512, 1024), 'out_channels': (512, 1024, 512, 256, 256, 256), 'level_strides': (2, 2, 1, 1),
          'level_paddings': (1, 1, 0, 0)}
SSD512 = {'in_channels': (512, 1024), 'out_channels': (512, 1024, 512, 256, 256, 256, 256),
          'level_strides': (2, 2, 2, 2, 1), 'level_paddings': (1, 1, 1, 1, 1), 'last_kernel_size': 4}
SMALL = {'in_channels': (8, 16), 'out_channels': (8, 16, 8), 'level_strides': (2,), 'level_paddings': (1,)}


@pytest.mark.parametrize('settings, inputs, expected', [
    (SSD300, (38, 19), [(512, 38), (1024, 19), (512, 10), (256, 5), (256, 3), (256, 1)]),
    (SSD512, (64, 32), [(512, 64), (1024, 32), (512, 16), (256, 8), (256, 4), (256, 2), (256, 1)])])
def test_levels_have_the_published_channels_and_sides(settings, inputs, expected):
    features = [torch.randn(1, channels, side, side) for channels, side in zip((512, 1024), inputs)]
    with torch.no_grad():
        levels = SSDNeck(**settings)(features)
    assert [(level.shape[1], level.shape[2]) for level in levels] == expected


def test_only_the_first_feature_is_normalised_and_the_second_passes_unchanged():
    features = torch.randn(1, 8, 6, 6), torch.randn(1, 16, 3, 3)
    levels = SSDNeck(**SMALL)(features)
    torch.testing.assert_close(levels[0].norm(dim=1), torch.full((1, 6, 6), 20.))
    assert levels[1] is features[1]


@pytest.mark.parametrize('scale', [None, 0])
def test_without_a_scale_nothing_is_normalised(scale):
    neck, features = SSDNeck(**SMALL, l2_norm_scale=scale), (torch.randn(1, 8, 6, 6), torch.randn(1, 16, 3, 3))
    assert neck(features)[0] is features[0]
    assert not any('l2_norm' in key for key in neck.state_dict())


def test_each_added_level_is_a_1x1_convolution_to_half_the_channels_and_a_3x3_convolution_each_with_relu():
    neck = SSDNeck(**SMALL)
    assert {key: tuple(value.shape) for key, value in neck.state_dict().items()} == {
        'l2_norm.weight': (8,),
        'extra_layers.0.0.conv.weight': (4, 16, 1, 1), 'extra_layers.0.0.conv.bias': (4,),
        'extra_layers.0.1.conv.weight': (8, 4, 3, 3), 'extra_layers.0.1.conv.bias': (8,)}
    assert [type(layer) for layer in neck.extra_layers[0][0].children()] == [nn.Conv2d, nn.ReLU]


def test_an_added_level_reads_the_one_before_it():
    neck, features = SSDNeck(**SMALL), (torch.randn(1, 8, 6, 6), torch.randn(1, 16, 3, 3))
    assert neck(features)[2].equal(neck.extra_layers[0](features[1]))


def test_a_norm_follows_every_convolution():
    neck = SSDNeck(**SMALL, norm_cfg=batch_norm)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in neck.modules()) == 2
    assert 'extra_layers.0.1.bn.running_mean' in neck.state_dict()


def test_biases_begin_at_zero():
    assert all(value.abs().sum() == 0 for key, value in SSDNeck(**SMALL).state_dict().items() if key.endswith('bias'))


@pytest.mark.parametrize('options, word', [
    ({'out_channels': (8, 16)}, 'add levels'), ({'out_channels': (8, 32, 8)}, 'begin with in_channels'),
    ({'level_strides': (2, 2)}, 'as many level_strides'), ({'level_paddings': ()}, 'level_paddings')])
def test_levels_that_do_not_add_up_are_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        SSDNeck(**{**SMALL, **options})


def test_ssdlites_wide_convolutions_are_depthwise_separable_with_its_norms_and_activations():
    neck = SSDNeck(**SMALL, l2_norm_scale=None, use_depthwise=True, norm_cfg=batch_norm, act_cfg=nn.ReLU6)
    first, second = neck.extra_layers[0]
    assert first.conv.kernel_size == (1, 1) and second.depthwise_conv.conv.groups == 4
    assert second.depthwise_conv.conv.stride == (2, 2) and second.pointwise_conv.conv.stride == (1, 1)
    kinds = nn.BatchNorm2d, nn.ReLU6, nn.ReLU
    assert [sum(isinstance(layer, kind) for layer in neck.modules()) for kind in kinds] == [3, 3, 0]


def test_init_cfg_takes_the_place_of_xaviers_weights():
    neck = SSDNeck(**SMALL, init_cfg=lambda module: [nn.init.ones_(conv.weight) for conv in module.modules()
                                                     if isinstance(conv, nn.Conv2d)])
    assert neck.extra_layers[0][1].conv.weight.unique().tolist() == [1]
