"""Layers that backbone, neck and head share."""
from __future__ import annotations

import functools
from collections import OrderedDict
from typing import Callable, Optional

import torch
from torch import Tensor, nn

from mmdet.models.builder import NORM_LAYERS

NormFactory = Callable[[int], nn.Module]  # channels -> layer


@NORM_LAYERS.register_module('BN', factory=True)
def batch_norm(num_features: int, eps: float = 1e-5, momentum: float = 0.1, requires_grad: bool = True) -> nn.BatchNorm2d:
    """`norm_cfg = dict(type='BN')`. `requires_grad`: whether scale and shift learn."""
    layer = nn.BatchNorm2d(num_features, eps=eps, momentum=momentum)
    for parameter in layer.parameters():
        parameter.requires_grad = requires_grad
    return layer


def conv_module(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0,
                norm: Optional[NormFactory] = None) -> nn.Sequential:
    """Convolution, norm if any, ReLU; keys `conv.*` and `bn.*` as in MMDetection's checkpoints."""
    layers = OrderedDict(conv=nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=norm is None))
    if norm is not None:
        layers['bn'] = norm(out_channels)
    layers['activate'] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


class L2Norm(nn.Module):
    """Scales each position's feature vector to length `scale`, learnable by channel.

    Source: Liu et al., "ParseNet", 2015. `eps` is added to the length, not under the root, as in MMDetection.

    Args:
        n_dims: channels.
        scale: initial length.
        eps: keeps an all-zero vector zero.
    """

    keeps_float32 = True  # the weights too, at every level of precision

    def __init__(self, n_dims: int, scale: float = 20.0, eps: float = 1e-10):
        super().__init__()
        self.weight = nn.Parameter(torch.full((n_dims,), float(scale)))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(N, n_dims, H, W) -> the same shape and dtype; computed in float32."""
        exact = x.float()
        length = exact.pow(2).sum(dim=1, keepdim=True).sqrt() + self.eps
        return (self.weight[:, None, None].float() * exact / length).type_as(x)


def xavier_uniform(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for every convolution; ones and zeros for norms."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


kaiming_normal = functools.partial(nn.init.kaiming_normal_, mode='fan_out', nonlinearity='relu')
