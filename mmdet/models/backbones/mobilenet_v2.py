"""MobileNetV2, the backbone of SSDLite.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, table 2; keys as in MMDetection.
"""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from torch import Tensor, nn

from mmcv_need.errors import ConfigError
from mmdet.models.activations import ActFactory
from mmdet.models.builder import ACTIVATION_LAYERS, BACKBONES, CONV_LAYERS, INITIALIZERS, NORM_LAYERS
from mmdet.models.conv_module import ConvFactory, ConvModule
from mmdet.models.first_weights import Initializer, initialize
from mmdet.models.freezing import freeze, keep_in_evaluation
from mmdet.models.norms import NormFactory, batch_norm

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
          (6, 320, 1, 1))  # expansion, channels, blocks, stride of the first of them
STEM, LAST = 32, 1280  # channels before and after the stages
OUTPUTS = len(STAGES) + 1


class InvertedResidual(nn.Module):
    """1x1 convolution to more channels, depthwise 3x3 convolution, 1x1 convolution to few without activation; plus the input
    where its shape is that of the output.

    Args:
        in_channels, out_channels: of the whole.
        stride: of the depthwise convolution.
        expansion: how many times more channels between; 1 leaves the first convolution out.
        settings: `conv_cfg`, `norm_cfg` and `act_cfg` of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: float, **settings: Any):
        super().__init__()
        between = round(in_channels * expansion)
        self.adds_input = stride == 1 and in_channels == out_channels
        if expansion != 1:
            self.expand_conv = ConvModule(in_channels, between, 1, **settings)
        self.depthwise_conv = ConvModule(between, between, 3, stride, 1, groups=between, **settings)
        self.linear_conv = ConvModule(between, out_channels, 1, **{**settings, 'act_cfg': None})

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        expanded = self.expand_conv(x) if hasattr(self, 'expand_conv') else x
        out = self.linear_conv(self.depthwise_conv(expanded))
        return x + out if self.adds_input else out


@BACKBONES.register_module(parts=dict(conv_cfg=CONV_LAYERS, norm_cfg=NORM_LAYERS, act_cfg=ACTIVATION_LAYERS,
                                      init_cfg=INITIALIZERS))
class MobileNetV2(nn.Module):
    """Features of stages: `layer1` (index 0) to `layer7`, and of the convolution `conv2` after them (7).

    Args:
        widen_factor: channels as a share of the published ones, rounded to multiples of 8; those of `conv2` only grow.
        out_indices: of the features to give; SSDLite's (4, 7) have strides 16 and 32, and 96 and 1280 channels.
        frozen_stages: `conv1` and so many stages do not learn; 0 freezes `conv1` alone, -1 nothing.
        conv_cfg, norm_cfg, act_cfg: of all convolutions.
        norm_eval: whether batch norms keep their running statistics in training.
        with_cp: False; accepted for MMDetection's configs, whose True computes activations twice to save memory.
        init_cfg: None starts from Kaiming-normal weights.
    """

    def __init__(self, widen_factor: float = 1.0, out_indices: Sequence[int] = (1, 2, 4, 7), frozen_stages: int = -1,
                 conv_cfg: Optional[ConvFactory] = None, norm_cfg: Optional[NormFactory] = batch_norm,
                 act_cfg: Optional[ActFactory] = nn.ReLU6, norm_eval: bool = False, with_cp: bool = False,
                 init_cfg: Optional[Initializer] = None):
        super().__init__()
        _check(widen_factor, out_indices, frozen_stages, with_cp)
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.out_indices, self.norm_eval = tuple(out_indices), norm_eval
        channels = divisible(STEM * widen_factor)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, **settings)
        self.layers: List[str] = []
        self.out_channels: List[int] = []
        for i, (expansion, planned, count, stride) in enumerate(STAGES):
            out = divisible(planned * widen_factor)
            blocks = [InvertedResidual(out if j else channels, out, 1 if j else stride, expansion, **settings)
                      for j in range(count)]
            self._append(f'layer{i + 1}', nn.Sequential(*blocks), out)
            channels = out
        last = int(LAST * max(widen_factor, 1.0))
        self._append('conv2', ConvModule(channels, last, 1, **settings), last)
        self.out_channels = [self.out_channels[i] for i in range(OUTPUTS) if i in self.out_indices]
        self.frozen = [self.conv1, *(getattr(self, name) for name in self.layers[:frozen_stages])] if frozen_stages >= 0 else []
        initialize(self, init_cfg)
        freeze(self.frozen)

    def _append(self, name: str, layer: nn.Module, channels: int) -> None:
        self.add_module(name, layer)
        self.layers.append(name)
        self.out_channels.append(channels)

    def train(self, mode: bool = True) -> MobileNetV2:
        super().train(mode)
        keep_in_evaluation(self.frozen, self, self.norm_eval)
        return self

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> the features `out_indices`, in the order of the stages."""
        x = self.conv1(x)
        outputs = []
        for i, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


def divisible(channels: float, divisor: int = 8) -> int:
    """Channels to the nearest multiple of 8 that is not more than a tenth below."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _check(widen_factor: float, out_indices: Sequence[int], frozen_stages: int, with_cp: bool) -> None:
    if widen_factor <= 0:
        raise ConfigError(f'widen_factor must be positive, not {widen_factor}')
    if not out_indices or not set(out_indices) <= set(range(OUTPUTS)):
        raise ConfigError(f'out_indices {tuple(out_indices)}: expected indices from 0 to {OUTPUTS - 1}')
    if frozen_stages not in range(-1, OUTPUTS):
        raise ConfigError(f'frozen_stages {frozen_stages}: expected -1 (none) to {OUTPUTS - 1}')
    if with_cp:
        raise ConfigError('with_cp=True: activations are not computed twice here; leave it False')
