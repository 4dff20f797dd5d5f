"""What the head has for each level."""
from __future__ import annotations

import torch
from torch import nn

from mmdet.models.activations import following
from mmdet.models.dense_heads.ssd_layers import prediction_layers
from mmdet.models.norms import batch_norm

LITE = dict(use_depthwise=True, norm_cfg=batch_norm, act_cfg=nn.ReLU6)


def kernels(layers):
    return [(*conv.weight.shape[:2], conv.kernel_size[0]) for conv in layers.modules() if isinstance(conv, nn.Conv2d)]


def test_ssds_is_one_convolution():
    layers = prediction_layers(8, 20)
    assert list(layers.state_dict()) == ['0.weight', '0.bias'] and kernels(layers) == [(20, 8, 3)]


def test_ssdlites_is_depthwise_separable_and_has_no_norm_at_its_end():
    layers = prediction_layers(8, 20, **LITE)
    assert kernels(layers) == [(8, 1, 3), (20, 8, 1)]
    assert [key for key in layers.state_dict() if 'bn' not in key] == ['0.conv.weight', '1.weight', '1.bias']
    assert isinstance(layers[0].activate, nn.ReLU6)


def test_a_tower_comes_before():
    assert kernels(prediction_layers(8, 20, stacked_convs=2, feat_channels=16)) == [(16, 8, 3), (16, 16, 3), (20, 16, 3)]
    layers = prediction_layers(8, 20, stacked_convs=1, feat_channels=16, **LITE)
    assert kernels(layers) == [(8, 1, 3), (16, 8, 1), (16, 1, 3), (20, 16, 1)]
    assert next(iter(layers[0].state_dict())) == 'depthwise_conv.conv.weight'


def test_without_an_activation_there_is_none_and_maps_keep_their_size():
    layers = prediction_layers(8, 20, use_depthwise=True, norm_cfg=None, act_cfg=None)
    assert not any(isinstance(layer, type(following(nn.ReLU, True))) for layer in layers.modules())
    assert layers(torch.randn(2, 8, 5, 3)).shape == (2, 20, 5, 3)
