"""`act_cfg`: activations, each a component that makes a new layer whenever it is called."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Union

from torch import nn

from mmcv_need.registry import build
from mmdet.models.builder import ACTIVATION_LAYERS

ActFactory = Callable[[], nn.Module]

for _class in (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ReLU6, nn.ELU, nn.Sigmoid, nn.Tanh, nn.SiLU, nn.GELU):
    ACTIVATION_LAYERS.register_module(module=_class)
# MMCV's names for what torch calls otherwise.
ACTIVATION_LAYERS.register_module('Swish', module=nn.SiLU)
ACTIVATION_LAYERS.register_module('HSwish', module=nn.Hardswish)


def build_activation_layer(cfg: Union[Mapping[str, Any], ActFactory]) -> nn.Module:
    """An activation.

    Args:
        cfg: `act_cfg` as written in a config, or the factory that it has become.
    """
    return build(cfg, ACTIVATION_LAYERS)()


def following(cfg: Union[Mapping[str, Any], ActFactory], inplace: bool) -> nn.Module:
    """An activation of values that nothing else needs: in place, unless its own settings say otherwise."""
    make = build(cfg, ACTIVATION_LAYERS)
    layer = make()
    if hasattr(layer, 'inplace') and 'inplace' not in getattr(make, 'keywords', {}):
        layer.inplace = inplace
    return layer
