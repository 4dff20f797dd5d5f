"""Layers that backbone, neck and head share."""
from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmdet.models.layers import L2Norm, xavier_uniform


def test_l2_norm_gives_the_published_numbers():
    actual = L2Norm(4, 20)(torch.arange(8.).reshape(1, 4, 1, 2))
    expected = [0, 2.182179, 5.345225, 6.546536, 10.690450, 10.910894, 16.035674, 15.275252]
    assert actual.flatten().tolist() == pytest.approx(expected, abs=2e-6)


def test_l2_norm_makes_every_vector_as_long_as_its_scale():
    lengths = L2Norm(16, 7.5)(torch.randn(2, 16, 3, 4)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((2, 3, 4), 7.5))


def test_l2_norm_of_a_zero_vector_is_zero_and_its_weight_gets_no_gradient_from_it():
    layer = L2Norm(4)
    out = layer(torch.zeros(1, 4, 2, 2))
    out.sum().backward()
    assert out.abs().sum() == 0
    assert layer.weight.grad.tolist() == [0.] * 4


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_l2_norm_of_half_precision_is_computed_in_float32(dtype):
    """Squares of 300 are beyond float16; the lengths are not."""
    x = (torch.randn(1, 8, 2, 2) * 300).to(dtype)
    layer = L2Norm(8)
    out = layer(x)
    assert out.dtype == dtype
    assert out.equal(layer(x.float()).to(dtype))


def test_l2_norm_learns_a_weight_for_each_channel_that_begins_at_the_scale():
    layer = L2Norm(3, 12)
    assert {name: value.tolist() for name, value in layer.state_dict().items()} == {'weight': [12., 12., 12.]}
    with torch.no_grad():
        layer.weight[1] = 0
    assert layer(torch.ones(1, 3, 1, 1)).flatten().tolist() == pytest.approx([12 / 3**.5, 0., 12 / 3**.5])


def test_xavier_uniform_draws_within_its_bound_and_zeroes_biases():
    module = nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16))
    nn.init.constant_(module[1].weight, 5.)
    xavier_uniform(module)
    bound = math.sqrt(6 / (8 * 9 + 16 * 9))
    assert bound * .9 < module[0].weight.abs().max() <= bound
    assert module[0].bias.abs().sum() == 0
    assert module[1].weight.tolist() == [1.] * 16 and module[1].bias.abs().sum() == 0
