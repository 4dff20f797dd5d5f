"""Layers that backbone, neck and head share."""
from __future__ import annotations

import functools

import torch
from torch import Tensor, nn


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
