"""`init_cfg`: random or constant first weights for layers of given kinds, by MMCV's names."""
from __future__ import annotations

import math
from functools import partial
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from torch import Tensor, nn

from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.registry import LAZY, build
from mmdet.models.builder import INITIALIZERS

Initializer = Callable[[nn.Module], None]
Kinds = Optional[Union[str, Sequence[str]]]
Overrides = Optional[Union[Mapping[str, Any], Sequence[Mapping[str, Any]]]]
NORMAL, UNIFORM = 'normal', 'uniform'


def initialize(module: nn.Module, init_cfg: Optional[Union[Initializer, Sequence[Initializer]]]) -> None:
    """Give a module its first weights: by one initializer, by several one after the other, or by none (None)."""
    for initializer in init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]:
        if initializer is not None:
            initializer(module)


class Filling:
    """Fills weights and biases of the layers of some kinds within a module, then of children with settings of their own.

    Args:
        fill: changes a weight in place.
        bias: of those layers.
        bias_prob: the bias is that at which a sigmoid gives this probability, instead.
        layer: names of the layers' classes, or of classes that they inherit from ('Conv2d', '_BatchNorm').
        override: dict(name=child, type=..., ...): all layers of that child, by another initializer; only a name: by this one.

    Raises:
        ConfigError: nothing is to be filled, or an override without a name.
    """

    def __init__(self, fill: Callable[[Tensor], Any], bias: float = 0., bias_prob: Optional[float] = None, layer: Kinds = None,
                 override: Overrides = None):
        if bias_prob is not None and not 0 < bias_prob < 1:
            raise ConfigError(f'bias_prob {bias_prob}: expected a number between 0 and 1')
        self.fill = fill
        self.bias = bias if bias_prob is None else -math.log(1 / bias_prob - 1)
        self.kinds = {layer} if isinstance(layer, str) else set(layer or ())
        self.overrides = list(override) if isinstance(override, (list, tuple)) else [] if override is None else [override]
        if not self.kinds and not self.overrides:
            raise ConfigError("layer: name the layers to fill, such as layer='Conv2d'")
        for own in self.overrides:
            if not isinstance(own, Mapping) or 'name' not in own or (len(own) > 1 and 'type' not in own):
                raise ConfigError(f"override {own!r}: expected dict(name='child', type=...)")

    def __call__(self, module: nn.Module) -> None:
        for part in module.modules():
            if self.kinds & {base.__name__ for base in type(part).__mro__}:
                self.fill_layer(part)
        for own in self.overrides:
            settings = {key: value for key, value in own.items() if key != 'name'}
            other = build({**settings, 'layer': 'Module'}, INITIALIZERS) if settings else self
            children = dict(module.named_children())
            if own['name'] not in children:
                raise ConfigError(f"override: {type(module).__name__} has no child '{own['name']}'."
                                  f"{did_you_mean(str(own['name']), children)}")
            for part in children[own['name']].modules():
                other.fill_layer(part)

    def fill_layer(self, layer: nn.Module) -> None:
        """One layer's own weight and bias, as far as it has them."""
        weight, bias = getattr(layer, 'weight', None), getattr(layer, 'bias', None)
        if isinstance(weight, Tensor):
            self.fill(weight)
        if isinstance(bias, Tensor):
            nn.init.constant_(bias, self.bias)


def _of(distribution: str, fills: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    if distribution not in fills:
        raise ConfigError(f"distribution {distribution!r}: expected {' or '.join(map(repr, fills))}")
    return fills[distribution]


@INITIALIZERS.register_module('Constant', parts=dict(override=LAZY))
def constant(val: float, bias: float = 0., bias_prob: Optional[float] = None, layer: Kinds = None,
             override: Overrides = None) -> Filling:
    """All weights are `val`."""
    return Filling(partial(nn.init.constant_, val=val), bias, bias_prob, layer, override)


@INITIALIZERS.register_module('Xavier', parts=dict(override=LAZY))
def xavier(gain: float = 1., distribution: str = NORMAL, bias: float = 0., bias_prob: Optional[float] = None,
           layer: Kinds = None, override: Overrides = None) -> Filling:
    """Source: Glorot & Bengio, AISTATS 2010."""
    fill = _of(distribution, {NORMAL: nn.init.xavier_normal_, UNIFORM: nn.init.xavier_uniform_})
    return Filling(partial(fill, gain=gain), bias, bias_prob, layer, override)


@INITIALIZERS.register_module('Normal', parts=dict(override=LAZY))
def normal(mean: float = 0., std: float = 1., bias: float = 0., bias_prob: Optional[float] = None, layer: Kinds = None,
           override: Overrides = None) -> Filling:
    return Filling(partial(nn.init.normal_, mean=mean, std=std), bias, bias_prob, layer, override)


@INITIALIZERS.register_module('TruncNormal', parts=dict(override=LAZY))
def truncated_normal(mean: float = 0., std: float = 1., a: float = -2., b: float = 2., bias: float = 0.,
                     bias_prob: Optional[float] = None, layer: Kinds = None, override: Overrides = None) -> Filling:
    """Normal within `a` and `b`, which are values, not numbers of deviations."""
    return Filling(partial(nn.init.trunc_normal_, mean=mean, std=std, a=a, b=b), bias, bias_prob, layer, override)


@INITIALIZERS.register_module('Uniform', parts=dict(override=LAZY))
def uniform(a: float = 0., b: float = 1., bias: float = 0., bias_prob: Optional[float] = None, layer: Kinds = None,
            override: Overrides = None) -> Filling:
    return Filling(partial(nn.init.uniform_, a=a, b=b), bias, bias_prob, layer, override)


@INITIALIZERS.register_module('Kaiming', parts=dict(override=LAZY))
def kaiming(a: float = 0., mode: str = 'fan_out', nonlinearity: str = 'relu', distribution: str = NORMAL, bias: float = 0.,
            bias_prob: Optional[float] = None, layer: Kinds = None, override: Overrides = None) -> Filling:
    """Source: He et al., ICCV 2015. `a`: slope of a leaky ReLU below zero."""
    fill = _of(distribution, {NORMAL: nn.init.kaiming_normal_, UNIFORM: nn.init.kaiming_uniform_})
    return Filling(partial(fill, a=a, mode=mode, nonlinearity=nonlinearity), bias, bias_prob, layer, override)


@INITIALIZERS.register_module('Caffe2Xavier', parts=dict(override=LAZY))
def caffe2_xavier(bias: float = 0., bias_prob: Optional[float] = None, layer: Kinds = None,
                  override: Overrides = None) -> Filling:
    """Caffe2's Xavier, which is torch's Kaiming-uniform of slope 1 and fan in."""
    return kaiming(1., 'fan_in', 'leaky_relu', UNIFORM, bias, bias_prob, layer, override)
