"""SSD's extra feature layers, and the L2 norm of its first feature.

Source: Liu et al., SSD, ECCV 2016, fig. 2 and sec. 3.1; keys as in MMDetection 2.14 and later.
"""
from __future__ import annotations

from typing import Optional, Sequence, Tuple

from torch import Tensor, nn

from mmcv_need.errors import ConfigError
from mmdet.models.activations import ActFactory
from mmdet.models.builder import ACTIVATION_LAYERS, CONV_LAYERS, INITIALIZERS, NECKS, NORM_LAYERS
from mmdet.models.conv_module import ConvFactory, ConvModule, DepthwiseSeparableConvModule
from mmdet.models.first_weights import Initializer, initialize
from mmdet.models.layers import L2Norm, xavier_uniform
from mmdet.models.norms import NormFactory


@NECKS.register_module(parts=dict(conv_cfg=CONV_LAYERS, norm_cfg=NORM_LAYERS, act_cfg=ACTIVATION_LAYERS,
                                  init_cfg=INITIALIZERS))
class SSDNeck(nn.Module):
    """Appends levels to the backbone's features, each a 1x1 and a 3x3 convolution.

    Args:
        in_channels: of the backbone's features.
        out_channels: of all levels; begins with `in_channels`.
        level_strides, level_paddings: of each added level's 3x3 convolution.
        l2_norm_scale: initial length of the first feature's vectors; None does not normalise it.
        last_kernel_size: kernel of the last added level (4 for SSD512).
        use_depthwise: whether the 3x3 convolutions are depthwise separable, as in SSDLite.
        conv_cfg: which convolution; None is the ordinary one.
        norm_cfg: a norm after each convolution, dict(type='BN'); None as published.
        act_cfg: what follows.
        init_cfg: first weights of the convolutions; None is Xavier-uniform.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int], level_strides: Sequence[int],
                 level_paddings: Sequence[int], l2_norm_scale: Optional[float] = 20.0, last_kernel_size: int = 3,
                 use_depthwise: bool = False, conv_cfg: Optional[ConvFactory] = None, norm_cfg: Optional[NormFactory] = None,
                 act_cfg: Optional[ActFactory] = nn.ReLU, init_cfg: Optional[Initializer] = None):
        super().__init__()
        added = len(out_channels) - len(in_channels)
        if added < 1 or list(out_channels[:len(in_channels)]) != list(in_channels):
            raise ConfigError(f'out_channels {tuple(out_channels)} must begin with in_channels {tuple(in_channels)} and '
                              f'add levels')
        if not added == len(level_strides) == len(level_paddings):
            raise ConfigError(f'{added} added levels need as many level_strides ({len(level_strides)}) and '
                              f'level_paddings ({len(level_paddings)})')
        self.in_channels, self.out_channels = tuple(in_channels), tuple(out_channels)
        if l2_norm_scale:
            self.l2_norm = L2Norm(in_channels[0], l2_norm_scale)
        self.extra_layers = nn.ModuleList()
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, kaiming=False)
        wide = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        previous = out_channels[len(in_channels) - 1]
        for i, channels in enumerate(out_channels[len(in_channels):]):
            kernel_size = last_kernel_size if i == added - 1 else 3
            self.extra_layers.append(nn.Sequential(
                ConvModule(previous, channels // 2, 1, **settings),
                wide(channels // 2, channels, kernel_size, level_strides[i], level_paddings[i], **settings)))
            previous = channels
        initialize(self.extra_layers, init_cfg or xavier_uniform)

    def forward(self, features: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """The backbone's features, the first of them normalised, and the added ones, each smaller than the last."""
        levels = list(features)
        if hasattr(self, 'l2_norm'):
            levels[0] = self.l2_norm(levels[0])
        x = features[-1]
        for layer in self.extra_layers:
            x = layer(x)
            levels.append(x)
        return tuple(levels)
