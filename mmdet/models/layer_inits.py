"""First weights of one layer, by the names that MMCV's functions have: its own weight and bias, as far as it has them."""
from __future__ import annotations

import math
from typing import Any

from torch import nn


def bias_init_with_prob(prior_prob: float) -> float:
    """The bias at which a sigmoid gives this probability."""
    return -math.log((1 - prior_prob) / prior_prob)


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    _fill(module, nn.init.constant_, bias, val=val)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    _fill(module, nn.init.normal_, bias, mean=mean, std=std)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    _fill(module, nn.init.uniform_, bias, a=a, b=b)


def trunc_normal_init(module: nn.Module, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, bias: float = 0) -> None:
    _fill(module, nn.init.trunc_normal_, bias, mean=mean, std=std, a=a, b=b)


def xavier_init(module: nn.Module, gain: float = 1, bias: float = 0, distribution: str = 'normal') -> None:
    """`distribution`: 'normal' or 'uniform'."""
    _fill(module, {'normal': nn.init.xavier_normal_, 'uniform': nn.init.xavier_uniform_}[distribution], bias, gain=gain)


def kaiming_init(module: nn.Module, a: float = 0, mode: str = 'fan_out', nonlinearity: str = 'relu', bias: float = 0,
                 distribution: str = 'normal') -> None:
    """`distribution`: 'normal' or 'uniform'."""
    fill = {'normal': nn.init.kaiming_normal_, 'uniform': nn.init.kaiming_uniform_}[distribution]
    _fill(module, fill, bias, a=a, mode=mode, nonlinearity=nonlinearity)


def caffe2_xavier_init(module: nn.Module, bias: float = 0) -> None:
    """Caffe2's Xavier, which is torch's Kaiming-uniform of slope 1 and fan in."""
    kaiming_init(module, 1, 'fan_in', 'leaky_relu', bias, 'uniform')


def _fill(module: nn.Module, fill: Any, bias: float, **settings: float) -> None:
    if getattr(module, 'weight', None) is not None:
        fill(module.weight, **settings)
    if getattr(module, 'bias', None) is not None:
        nn.init.constant_(module.bias, bias)
