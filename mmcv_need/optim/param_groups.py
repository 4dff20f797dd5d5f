"""Parameter groups: learning rate and weight decay by kind of layer or by name, with MMCV's rules (`paramwise_cfg`).

Parameters of equal settings share a group, so that the optimizer changes them together.
"""
from __future__ import annotations

import warnings
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mmcv_need.arguments import is_number
from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.registry import LAZY

NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)  # L2Norm is none of them, as in MMCV
DEFORMABLE = ('DeformConv2d', 'ModulatedDeformConv2d')  # MMCV's classes, by name
MULTIPLIERS = ('lr_mult', 'decay_mult')


class Place(NamedTuple):
    """Where a parameter stands: its name in its layer, the layer, the layer's name, and whether a deformable one holds that."""
    parameter: nn.Parameter
    name: str
    layer: nn.Module
    prefix: str
    in_deformable: bool


def places(layer: nn.Module, prefix: str = '', in_deformable: bool = False) -> Iterator[Place]:
    """Each parameter of a model, in its order; one that several layers share comes with each of them."""
    for name, parameter in layer.named_parameters(recurse=False):
        yield Place(parameter, name, layer, prefix, in_deformable)
    deformable = any(kind.__name__ in DEFORMABLE for kind in type(layer).__mro__)
    for name, child in layer.named_children():
        yield from places(child, f'{prefix}.{name}' if prefix else name, deformable)


class Paramwise:
    """`paramwise_cfg`: factors of the optimizer's `lr` and `weight_decay`.

    Args:
        custom_keys: a part of a parameter's full name -> dict(lr_mult, decay_mult). The longest key that fits decides, of
            equally long ones the first of the alphabet; the other rules then say nothing.
        bias_lr_mult: of the rate of biases, but not those of norms.
        bias_decay_mult: of the decay of biases, but not those of norms and depthwise convolutions.
        norm_decay_mult: of the decay of a norm's weight and bias.
        dwconv_decay_mult: of the decay of a depthwise convolution's weight and bias.
        dcn_offset_lr_mult: of the rate of the offset layers (`conv_offset`) within deformable convolutions.
        bypass_duplicate: a parameter that several layers share follows the first of them; without it, sharing is an error.

    Raises:
        ConfigError: a factor that is no number, or something else in `custom_keys`.
    """
    config_parts = {'custom_keys': LAZY}

    def __init__(self, custom_keys: Optional[Mapping[str, Any]] = None, bias_lr_mult: float = 1.0, bias_decay_mult: float = 1.0,
                 norm_decay_mult: float = 1.0, dwconv_decay_mult: float = 1.0, dcn_offset_lr_mult: float = 1.0,
                 bypass_duplicate: bool = False):
        self.custom_keys = {} if custom_keys is None else custom_keys
        self.bias_lr_mult, self.bias_decay_mult = bias_lr_mult, bias_decay_mult
        self.norm_decay_mult, self.dwconv_decay_mult = norm_decay_mult, dwconv_decay_mult
        self.dcn_offset_lr_mult = dcn_offset_lr_mult
        self.bypass_duplicate = bypass_duplicate
        _check_factors('', {name: value for name, value in vars(self).items() if name.endswith('_mult')})
        if not isinstance(self.custom_keys, dict):
            raise ConfigError(f'custom_keys: expected a dict of dicts, not {custom_keys!r}')
        for key, factors in self.custom_keys.items():
            if not isinstance(factors, dict):
                raise ConfigError(f"custom_keys '{key}': expected dict(lr_mult=..., decay_mult=...), not {factors!r}")
            for name in factors:
                if name not in MULTIPLIERS:
                    raise ConfigError(f"custom_keys '{key}': nothing reads '{name}'.{did_you_mean(name, MULTIPLIERS)}")
            _check_factors(f"custom_keys '{key}': ", factors)

    def custom_key(self, place: Place) -> Optional[str]:
        fitting = [key for key in self.custom_keys if key in f'{place.prefix}.{place.name}']
        return min(fitting, key=lambda key: (-len(key), key)) if fitting else None

    def factors(self, place: Place) -> Tuple[float, float]:
        """(of the rate, of the decay) for a parameter."""
        key = self.custom_key(place)
        if key is not None:
            custom = self.custom_keys[key]
            return custom.get('lr_mult', 1.0), custom.get('decay_mult', 1.0)
        layer, is_norm = place.layer, isinstance(place.layer, NORMS)
        is_conv = isinstance(layer, nn.Conv2d)
        is_bias = place.name == 'bias' and not place.in_deformable
        rate = self.bias_lr_mult if is_bias and not is_norm else 1.0
        if is_conv and place.in_deformable and 'conv_offset' in place.prefix:
            rate = self.dcn_offset_lr_mult
        if is_norm:
            return rate, self.norm_decay_mult
        if is_conv and layer.in_channels == layer.groups:
            return rate, self.dwconv_decay_mult
        return rate, self.bias_decay_mult if is_bias else 1.0


def _check_factors(place: str, factors: Mapping[str, Any]) -> None:
    for name, value in factors.items():
        if not is_number(value) or value < 0:
            raise ConfigError(f'{place}{name}: expected a number of 0 or more, not {value!r}')


def parameter_groups(model: nn.Module, paramwise: Optional[Paramwise] = None, lr: Optional[float] = None,
                     weight_decay: Optional[float] = None) -> List[Dict[str, Any]]:
    """The parameters that learn, in groups of equal settings, in the order in which the model first has each.

    Args:
        model: names and order of the parameters are its.
        paramwise: None makes one group of all, as the published SSD results were trained: decay on biases and norms too.
        lr, weight_decay: of the optimizer; a group has its own only of what is given here.

    Returns:
        Per group: `params`, `param_names` (full names), and `lr` and `weight_decay` with `paramwise`.

    Raises:
        ConfigError: no parameter learns; or layers share one, and `bypass_duplicate` does not say that the first decides.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError('no parameter of the model learns: all are frozen')
    if paramwise is None:
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        return [{'params': [parameter for _, parameter in named], 'param_names': [name for name, _ in named]}]
    groups: Dict[Tuple[float, ...], Dict[str, Any]] = {}
    first: Dict[nn.Parameter, str] = {}
    for place in places(model):
        name = f'{place.prefix}.{place.name}'.lstrip('.')
        if place.parameter in first:
            _meet_again(first[place.parameter], name, paramwise)
        elif place.parameter.requires_grad:
            rate, decay = paramwise.factors(place)
            own = {**({} if lr is None else {'lr': lr * rate}),
                   **({} if weight_decay is None else {'weight_decay': weight_decay * decay})}
            group = groups.setdefault(tuple(own.values()), {'params': [], 'param_names': [], **own})
            group['params'].append(place.parameter)
            group['param_names'].append(name)
            first[place.parameter] = name
    _warn_of_idle_keys(model, paramwise)
    return list(groups.values())


def _meet_again(first: str, name: str, paramwise: Paramwise) -> None:
    if not paramwise.bypass_duplicate:
        raise ConfigError(f'{first} and {name} are one parameter. paramwise_cfg.bypass_duplicate=True gives it the settings '
                          f'of the first')
    warnings.warn(f'{name} is {first}, whose settings it has', UserWarning, stacklevel=4)


def _warn_of_idle_keys(model: nn.Module, paramwise: Paramwise) -> None:
    names = [f'{place.prefix}.{place.name}' for place in places(model)]
    for key in paramwise.custom_keys:
        if not any(key in name for name in names):
            warnings.warn(f"paramwise_cfg.custom_keys: no parameter's name has '{key}' in it", UserWarning, stacklevel=4)
