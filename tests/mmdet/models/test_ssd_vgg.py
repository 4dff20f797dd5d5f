"""The backbone."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.builder import build_optimizer
from mmcv_need.errors import ConfigError
from mmdet.models.backbones.ssd_vgg import SSDVGG, scaled
from mmdet.models.norms import batch_norm

CONVOLUTIONS = {  # index in `features`: channels out, in, kernel; from VGG-16's configuration D and SSD, sec. 3
    0: (64, 3, 3), 2: (64, 64, 3), 5: (128, 64, 3), 7: (128, 128, 3), 10: (256, 128, 3), 12: (256, 256, 3),
    14: (256, 256, 3), 17: (512, 256, 3), 19: (512, 512, 3), 21: (512, 512, 3), 24: (512, 512, 3), 26: (512, 512, 3),
    28: (512, 512, 3), 31: (1024, 512, 3), 33: (1024, 1024, 1)}
POOLS = {4: (2, 2, 0, True), 9: (2, 2, 0, True), 16: (2, 2, 0, True), 23: (2, 2, 0, True), 30: (3, 1, 1, False)}


@pytest.fixture(scope='module')
def vgg():
    return SSDVGG()


def test_layers_have_the_places_of_mmdetections_checkpoints(vgg):
    for index, layer in enumerate(vgg.features):
        if index in CONVOLUTIONS:
            out, channels, kernel = CONVOLUTIONS[index]
            assert layer.weight.shape == (out, channels, kernel, kernel) and layer.bias.shape == (out,)
        elif index in POOLS:
            assert (layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode) == POOLS[index]
        else:
            assert isinstance(layer, nn.ReLU)
    assert len(vgg.features) == 35 and vgg.out_feature_indices == (22, 34) and vgg.out_channels == [512, 1024]


def test_fc6_is_a_dilated_convolution(vgg):
    assert (vgg.features[31].dilation, vgg.features[31].padding) == ((6, 6), (6, 6))


@pytest.mark.parametrize('size, sides', [(300, (38, 19)), (512, (64, 32)), (160, (20, 10))])
def test_features_are_conv4_3_and_fc7_after_relu(size, sides):
    """A tenth of the channels; sides follow from the layers alone."""
    features = SSDVGG(width_factor=.1)(torch.randn(1, 3, size, size))
    assert [feature.shape for feature in features] == [(1, 48, sides[0], sides[0]), (1, 104, sides[1], sides[1])]
    assert all(feature.min() >= 0 for feature in features)


def test_without_ceil_mode_odd_sizes_round_down():
    features = SSDVGG(width_factor=.1, ceil_mode=False)(torch.randn(1, 3, 300, 300))
    assert [feature.shape[-1] for feature in features] == [37, 18]


def test_weights_begin_kaiming_normal_and_biases_zero(vgg):
    weight = vgg.features[24].weight
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** .5, rel=.01)
    assert weight.mean().item() == pytest.approx(0, abs=1e-4)
    assert all(layer.bias.abs().sum() == 0 for layer in vgg.features if isinstance(layer, nn.Conv2d))


def test_init_cfg_comes_after_the_first_weights():
    ones = SSDVGG(width_factor=.1, init_cfg=lambda module: nn.init.ones_(module.features[0].weight))
    assert ones.features[0].weight.min() == 1
    assert ones.features[2].weight.min() < 0


def test_norms_stand_between_convolution_and_relu_and_the_features_stay_the_same():
    vgg = SSDVGG(width_factor=.1, norm_cfg=batch_norm)
    kinds = [type(layer) for layer in vgg.features]
    assert kinds[:3] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] and kinds.count(nn.BatchNorm2d) == 15
    assert vgg.features[0].bias is None
    assert all(isinstance(vgg.features[index], nn.ReLU) for index in vgg.out_feature_indices)
    assert [feature.shape for feature in vgg(torch.randn(2, 3, 160, 160))] == [(2, 48, 20, 20), (2, 104, 10, 10)]


def test_channels_scale_to_multiples_of_8():
    assert [scaled(channels, .25) for channels in (64, 128, 256, 512, 1024)] == [16, 32, 64, 128, 256]
    assert [scaled(64, factor) for factor in (.01, .1, 1., 2.)] == [8, 8, 64, 128]


@pytest.mark.parametrize('options, word', [
    ({'depth': 17}, 'depth=16'), ({'frozen_stages': 6}, 'to 5'), ({'frozen_stages': -2}, 'frozen_stages -2'),
    ({'with_last_pool': True}, 'with_last_pool'), ({'width_factor': 0}, 'width_factor'),
    ({'width_factor': .1, 'out_feature_indices': (22, 35)}, '35 layers')])
def test_what_is_not_ssd_is_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        SSDVGG(**options)


# Depth: indices of convolutions in `features`, as MMDetection 2.28.2 has them; after the last of each stage; after ReLU of
# the last of stage 4, and of fc7.
DEPTHS = {11: ([0, 3, 6, 8, 11, 13, 16, 18, 21, 23], [3, 6, 11, 16, 20], (14, 24)),
          13: ([0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27], [5, 10, 15, 20, 24], (18, 28)),
          16: ([0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33], [5, 10, 17, 24, 30], (22, 34)),
          19: ([0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34, 37, 39], [5, 10, 19, 28, 36], (26, 40))}


@pytest.mark.parametrize('depth', DEPTHS)
def test_every_depth_has_mmdetections_layers_and_the_features_of_ssd(depth):
    indices, _, taps = DEPTHS[depth]
    vgg = SSDVGG(depth, width_factor=.1)
    assert [i for i, layer in enumerate(vgg.features) if isinstance(layer, nn.Conv2d)] == indices
    assert vgg.out_feature_indices == taps
    assert [feature.shape[1:] for feature in vgg(torch.randn(1, 3, 64, 64))] == [(48, 8, 8), (104, 4, 4)]


@pytest.mark.parametrize('depth', DEPTHS)
@pytest.mark.parametrize('stages', [-1, 0, 1, 2, 3, 4, 5])
def test_the_first_stages_are_frozen_as_mmcvs(depth, stages):
    indices, ends, _ = DEPTHS[depth]
    vgg = SSDVGG(depth, width_factor=.1, frozen_stages=stages)
    end = ends[stages - 1] if stages > 0 else 0
    for index in indices:
        assert [weight.requires_grad for weight in vgg.features[index].parameters()] == [index >= end] * 2


def test_what_is_frozen_neither_learns_nor_changes_its_statistics_and_the_rest_does():
    vgg = SSDVGG(width_factor=.1, norm_cfg=batch_norm, frozen_stages=2).eval().train()
    before = {name: value.clone() for name, value in vgg.state_dict().items()}
    optimizer = build_optimizer(vgg, {'optimizer': dict(type='SGD', lr=.1, momentum=.9, weight_decay=.1)})
    sum(feature.square().mean() for feature in vgg(torch.randn(2, 3, 64, 64))).backward()
    optimizer.step()
    end, changed = 14, {int(name.split('.')[1]) for name, value in vgg.state_dict().items() if not value.equal(before[name])}
    assert changed == {i for i, layer in enumerate(vgg.features) if i >= end and not isinstance(layer, (nn.ReLU, nn.MaxPool2d))}
    assert [layer.training for layer in vgg.features] == [i >= end for i in range(len(vgg.features))]


def test_norms_keep_their_statistics_where_asked():
    vgg = SSDVGG(width_factor=.1, norm_cfg=batch_norm, norm_eval=True).train()
    vgg(torch.randn(2, 3, 64, 64))
    assert all(layer.num_batches_tracked == 0 for layer in vgg.features if isinstance(layer, nn.BatchNorm2d))
    assert all(weight.requires_grad for weight in vgg.parameters())
