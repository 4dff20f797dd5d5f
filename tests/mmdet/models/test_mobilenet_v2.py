"""SSDLite's backbone."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.errors import ConfigError
from mmdet.models.backbones.mobilenet_v2 import InvertedResidual, MobileNetV2, divisible

NARROW = 0.1


def names(network, wanted):
    """First parts of the names of parameters that learn, or do not."""
    return {name.split('.')[0] for name, parameter in network.named_parameters() if parameter.requires_grad == wanted}


@pytest.mark.parametrize('factor, channels', [(1.0, (96, 1280)), (0.5, (48, 1280)), (1.4, (136, 1792)), (0.1, (16, 1280))])
def test_features_have_the_published_channels_and_strides_16_and_32(factor, channels):
    network = MobileNetV2(factor, out_indices=(4, 7)).eval()
    with torch.no_grad():
        features = network(torch.randn(1, 3, 64, 64))
    assert [tuple(feature.shape) for feature in features] == [(1, channels[0], 4, 4), (1, channels[1], 2, 2)]
    assert network.out_channels == list(channels)


def test_it_has_the_published_number_of_weights():
    """Of the classifier's 3.4 million (Sandler et al., table 4), those before its last layer."""
    assert sum(weight.numel() for weight in MobileNetV2().parameters()) == 3504872 - 1280 * 1000 - 1000


def test_channels_round_to_multiples_of_8_but_not_far_down():
    assert [divisible(channels) for channels in (1, 11, 12, 19.2, 44.8, 96)] == [8, 16, 16, 24, 48, 96]


@pytest.mark.parametrize('stride, out, adds', [(1, 8, True), (2, 8, False), (1, 16, False)])
def test_a_block_adds_its_input_where_the_shapes_are_equal(stride, out, adds):
    block, x = InvertedResidual(8, out, stride, 6, norm_cfg=nn.BatchNorm2d, act_cfg=nn.ReLU6).eval(), torch.randn(1, 8, 4, 4)
    with torch.no_grad():
        branch = block.linear_conv(block.depthwise_conv(block.expand_conv(x)))
        assert block(x).equal(x + branch if adds else branch)
    assert branch.min() < 0 and not block.linear_conv.with_activation


@pytest.mark.parametrize('stages, frozen', [(-1, set()), (0, {'conv1'}), (2, {'conv1', 'layer1', 'layer2'}),
                                            (7, {'conv1', *(f'layer{i}' for i in range(1, 8))})])
def test_frozen_stages_neither_learn_nor_change_their_statistics(stages, frozen):
    network = MobileNetV2(NARROW, frozen_stages=stages).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([weight for weight in network.parameters() if weight.requires_grad], lr=0.1)
    sum(feature.square().mean() for feature in network(torch.randn(4, 3, 64, 64))).backward()
    optimizer.step()
    changed = {name.split('.')[0] for name, value in network.state_dict().items() if not value.equal(before[name])}
    assert names(network, False) == frozen
    assert changed == names(network, True) == {'conv1', 'conv2', *(f'layer{i}' for i in range(1, 8))} - frozen


def test_norms_keep_their_statistics_where_asked():
    network = MobileNetV2(NARROW, norm_eval=True).train()
    network(torch.randn(2, 3, 32, 32))
    assert network.training and not any(layer.training for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    assert network.conv1.bn.num_batches_tracked == 0
    assert all(weight.requires_grad for weight in network.parameters())
    assert MobileNetV2(NARROW).train().conv1.bn.training


@pytest.mark.parametrize('options, word', [
    (dict(widen_factor=0), 'widen_factor'), (dict(out_indices=(8,)), r'out_indices \(8,\): expected indices from 0 to 7'),
    (dict(out_indices=()), 'out_indices'), (dict(frozen_stages=8), r'frozen_stages 8: expected -1 \(none\) to 7'),
    (dict(with_cp=True), 'with_cp=True')])
def test_what_there_is_not_is_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        MobileNetV2(**options)
