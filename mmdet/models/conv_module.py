"""Convolution, norm and activation in one, by the names that MMDetection's checkpoints have for them."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence, Tuple, Union

from torch import Tensor, nn

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.models.activations import ActFactory, following
from mmdet.models.builder import CONV_LAYERS
from mmdet.models.norms import NormFactory, build_norm_layer

Size = Union[int, Tuple[int, int]]
Settings = Mapping[str, Any]  # as written in a config
ConvFactory = Callable[..., nn.Module]  # arguments of nn.Conv2d -> layer
STEPS = {'conv', 'norm', 'act'}

CONV_LAYERS.register_module('Conv2d', module=nn.Conv2d)
CONV_LAYERS.register_module('Conv', module=nn.Conv2d)


def build_conv_layer(cfg: Optional[Union[Settings, ConvFactory]], *args: Any, **kwargs: Any) -> nn.Module:
    """A convolution.

    Args:
        cfg: `conv_cfg` as written in a config, or the factory that it has become; None is nn.Conv2d.
        args, kwargs: of the convolution.
    """
    return (nn.Conv2d if cfg is None else build(cfg, CONV_LAYERS))(*args, **kwargs)


class ConvModule(nn.Module):
    """Convolution, norm if any, activation if any; children `conv`, `bn` (or `gn`, ...) and `activate`.

    Settings are dicts as in a config, or the factories that `build` makes of them. Convolutions start Kaiming-normal with zero
    biases.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode: of the convolution.
        bias: of the convolution; 'auto': only where no norm follows.
        conv_cfg: which convolution; None is nn.Conv2d.
        norm_cfg: None leaves the norm out.
        act_cfg: None leaves the activation out.
        inplace: whether the activation overwrites what it is given.
        with_spectral_norm: whether the convolution's weight is divided by its largest singular value.
        order: of the three.
        kaiming: False leaves the convolution as torch makes it, for whoever gives it other weights anyway.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0,
                 dilation: Size = 1, groups: int = 1, bias: Union[bool, str] = 'auto',
                 conv_cfg: Optional[Union[Settings, ConvFactory]] = None,
                 norm_cfg: Optional[Union[Settings, NormFactory]] = None,
                 act_cfg: Optional[Union[Settings, ActFactory]] = nn.ReLU, inplace: bool = True,
                 with_spectral_norm: bool = False, padding_mode: str = 'zeros',
                 order: Sequence[str] = ('conv', 'norm', 'act'), kaiming: bool = True):
        super().__init__()
        if len(order) != len(STEPS) or set(order) != STEPS:
            raise ConfigError(f"order {tuple(order)!r}: expected 'conv', 'norm' and 'act', each once")
        self.order = tuple(order)
        self.with_norm, self.with_activation = norm_cfg is not None, act_cfg is not None
        self.with_bias = not self.with_norm if bias == 'auto' else bool(bias)
        self.conv = build_conv_layer(conv_cfg, in_channels, out_channels, kernel_size, stride=stride, padding=padding,
                                     dilation=dilation, groups=groups, bias=self.with_bias, padding_mode=padding_mode)
        self.in_channels, self.out_channels = in_channels, out_channels
        if with_spectral_norm:
            self.conv = nn.utils.spectral_norm(self.conv)
        self.norm_name: Optional[str] = None
        if norm_cfg is not None:
            before = self.order.index('norm') < self.order.index('conv')
            self.norm_name, norm = build_norm_layer(norm_cfg, in_channels if before else out_channels)
            self.add_module(self.norm_name, norm)
        if act_cfg is not None:
            self.activate = following(act_cfg, inplace)
        if kaiming:
            self.init_weights()

    @property
    def norm(self) -> Optional[nn.Module]:
        """The norm, by whatever name; None if there is none."""
        return None if self.norm_name is None else getattr(self, self.norm_name)

    def init_weights(self) -> None:
        """Kaiming-normal for the activation; a convolution with an `init_weights` of its own starts by itself."""
        if hasattr(self.conv, 'init_weights'):
            return
        leaky = self.with_activation and isinstance(self.activate, nn.LeakyReLU)
        nn.init.kaiming_normal_(self.conv.weight, self.activate.negative_slope if leaky else 0, 'fan_out',
                                'leaky_relu' if leaky else 'relu')
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H', W'). `activate`, `norm`: False leaves that step out."""
        for step in self.order:
            if step == 'conv':
                x = self.conv(x)
            elif step == 'norm' and norm and self.with_norm:
                x = self.norm(x)
            elif step == 'act' and activate and self.with_activation:
                x = self.activate(x)
        return x


class DepthwiseSeparableConvModule(nn.Module):
    """A convolution of each channel by itself (`depthwise_conv`), then a 1x1 convolution across them (`pointwise_conv`).

    Source: Howard et al., "MobileNets", 2017, sec. 3.1.

    Args:
        in_channels, out_channels: of the whole.
        kernel_size, stride, padding, dilation: of the first.
        norm_cfg, act_cfg: of both; see ConvModule.
        dw_norm_cfg, dw_act_cfg, pw_norm_cfg, pw_act_cfg: of the first and of the second; 'default' is that of both.
        kwargs: further arguments of both ConvModules.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0,
                 dilation: Size = 1, norm_cfg: Optional[Union[Settings, NormFactory]] = None,
                 act_cfg: Optional[Union[Settings, ActFactory]] = nn.ReLU, dw_norm_cfg: Any = 'default',
                 dw_act_cfg: Any = 'default', pw_norm_cfg: Any = 'default', pw_act_cfg: Any = 'default', **kwargs: Any):
        super().__init__()
        if 'groups' in kwargs:
            raise ConfigError('groups: a depthwise convolution has as many groups as channels; leave it out')

        def chosen(own: Any, of_both: Any) -> Any:
            return of_both if isinstance(own, str) and own == 'default' else own

        self.depthwise_conv = ConvModule(in_channels, in_channels, kernel_size, stride, padding, dilation, in_channels,
                                         norm_cfg=chosen(dw_norm_cfg, norm_cfg), act_cfg=chosen(dw_act_cfg, act_cfg), **kwargs)
        self.pointwise_conv = ConvModule(in_channels, out_channels, 1, norm_cfg=chosen(pw_norm_cfg, norm_cfg),
                                         act_cfg=chosen(pw_act_cfg, act_cfg), **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H', W')."""
        return self.pointwise_conv(self.depthwise_conv(x))
