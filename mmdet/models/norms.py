"""`norm_cfg`: norms of feature maps, each a component that waits for the number of channels."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Tuple, Union

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmcv_need.sync_norm import SyncBatchNorm
from mmdet.models.builder import NORM_LAYERS

NormFactory = Callable[[int], nn.Module]  # channels -> layer
# Names of norms within a ConvModule, and so in MMDetection's checkpoints. In old torch instance norms are batch norms, too.
ABBREVIATIONS = ((_InstanceNorm, 'in'), (_BatchNorm, 'bn'), (nn.GroupNorm, 'gn'), (nn.LayerNorm, 'ln'))
WORDS = (('batch', 'bn'), ('group', 'gn'), ('layer', 'ln'), ('instance', 'in'))  # in the class names of others


@NORM_LAYERS.register_module('BN')
@NORM_LAYERS.register_module('BN2d')
def batch_norm(num_features: int, eps: float = 1e-5, momentum: Optional[float] = 0.1, affine: bool = True,
               track_running_stats: bool = True, requires_grad: bool = True) -> nn.BatchNorm2d:
    """`norm_cfg = dict(type='BN')`. `requires_grad`: whether scale and shift learn."""
    return _learning(nn.BatchNorm2d(num_features, eps, momentum, affine, track_running_stats), requires_grad)


@NORM_LAYERS.register_module('SyncBN')
def sync_batch_norm(num_features: int, eps: float = 1e-5, momentum: Optional[float] = 0.1, affine: bool = True,
                    track_running_stats: bool = True, requires_grad: bool = True) -> SyncBatchNorm:
    """`norm_cfg = dict(type='SyncBN')`: of the batches of all processes; with one process, a batch norm."""
    return _learning(SyncBatchNorm(num_features, eps, momentum, affine, track_running_stats), requires_grad)


@NORM_LAYERS.register_module('BN1d')
def batch_norm_of_vectors(num_features: int, eps: float = 1e-5, momentum: Optional[float] = 0.1, affine: bool = True,
                          track_running_stats: bool = True, requires_grad: bool = True) -> nn.BatchNorm1d:
    """`norm_cfg = dict(type='BN1d')`: of vectors (N, C), not of maps."""
    return _learning(nn.BatchNorm1d(num_features, eps, momentum, affine, track_running_stats), requires_grad)


@NORM_LAYERS.register_module('LN')
def layer_norm(normalized_shape: int, eps: float = 1e-5, elementwise_affine: bool = True,
               requires_grad: bool = True) -> nn.LayerNorm:
    """`norm_cfg = dict(type='LN')`: over the last axis, of vectors (N, C), not of maps."""
    return _learning(nn.LayerNorm(normalized_shape, eps, elementwise_affine), requires_grad)


@NORM_LAYERS.register_module('GN')
def group_norm(num_channels: int, num_groups: int = 32, eps: float = 1e-5, affine: bool = True,
               requires_grad: bool = True) -> nn.GroupNorm:
    """`norm_cfg = dict(type='GN', num_groups=32)`: of groups of channels of one picture, whatever the batch.

    Source: Wu & He, "Group Normalization", ECCV 2018, whose number of groups is the default.
    """
    if num_groups < 1 or num_channels % num_groups:
        raise ConfigError(f'num_groups {num_groups} does not divide {num_channels} channels')
    return _learning(nn.GroupNorm(num_groups, num_channels, eps, affine), requires_grad)


@NORM_LAYERS.register_module('IN')
@NORM_LAYERS.register_module('IN2d')
def instance_norm(num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
                  track_running_stats: bool = False, requires_grad: bool = True) -> nn.InstanceNorm2d:
    """`norm_cfg = dict(type='IN')`: of each channel of one picture."""
    return _learning(nn.InstanceNorm2d(num_features, eps, momentum, affine, track_running_stats), requires_grad)


def build_norm_layer(cfg: Union[Mapping[str, Any], NormFactory], num_features: int,
                     postfix: Union[int, str] = '') -> Tuple[str, nn.Module]:
    """A norm, and the name that it goes by: 'bn1' for dict(type='BN') with postfix 1.

    Args:
        cfg: `norm_cfg` as written in a config, or the factory that it has become.
        num_features: channels.
        postfix: end of the name.
    """
    layer = build(cfg, NORM_LAYERS)(num_features)
    return f'{norm_name(layer)}{postfix}', layer


def norm_name(layer: nn.Module) -> str:
    """The name of a norm within a ConvModule: 'bn', 'gn', 'ln', 'in', a class's `_abbr_`, or 'norm_layer'."""
    kind = type(layer)
    if hasattr(kind, '_abbr_'):
        return kind._abbr_
    known = [name for base, name in ABBREVIATIONS if isinstance(layer, base)]
    known += [name for word, name in WORDS if word in kind.__name__.lower()]
    return known[0] if known else 'norm_layer'


def _learning(layer: nn.Module, requires_grad: bool) -> Any:
    for parameter in layer.parameters():
        parameter.requires_grad = requires_grad
    return layer
