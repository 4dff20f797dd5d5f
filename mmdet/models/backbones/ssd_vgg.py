"""VGG as SSD uses it: fc6 and fc7 as convolutions, pool5 without stride.

Source: Simonyan & Zisserman, VGG, ICLR 2015, configurations A, B, D and E; Liu et al., SSD, ECCV 2016, sec. 3; keys as in
MMDetection.
"""
from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

from torch import Tensor, nn

from mmcv_need.errors import ConfigError
from mmdet.models.backbones.vgg_weights import with_convolutions
from mmdet.models.builder import BACKBONES, INITIALIZERS, NORM_LAYERS
from mmdet.models.first_weights import Initializer, initialize
from mmdet.models.freezing import freeze, keep_in_evaluation
from mmdet.models.layers import kaiming_normal
from mmdet.models.norms import NormFactory

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # of each stage, by depth
CHANNELS = (64, 128, 256, 512, 512)  # of each stage
FC_CHANNELS = 1024


@BACKBONES.register_module(parts=dict(norm_cfg=NORM_LAYERS, init_cfg=INITIALIZERS))
class SSDVGG(nn.Module):
    """Two features: conv4_3 and fc7, both after ReLU.

    `features` is a flat Sequential, indexed as in MMDetection's checkpoints when there is no norm.

    Args:
        depth: of VGG: 16, as published, or 11, 13 or 19.
        with_last_pool: False: SSD replaces the last pooling by its own.
        ceil_mode: whether pooling rounds odd sizes up; True makes SSD300's maps 38, 19, 10, ...
        out_indices: accepted for MMDetection's configs; SSD does not use it.
        out_feature_indices: indices into `features` of the outputs; None means the last of stage 4 and fc7, which are (22, 34)
            for depth 16 without norms.
        width_factor: channels as a share of VGG's, for small models; rounded to multiples of 8.
        norm_cfg: a norm after each convolution, dict(type='BN'); None as in VGG.
        init_cfg: dict(type='Pretrained', checkpoint=...); None starts from Kaiming-normal weights.
        input_size: accepted for configs from before MMDetection 2.14; the network takes any size.
        frozen_stages: so many stages of convolutions do not learn; 0 and -1 freeze nothing, 5 all but fc6 and fc7.
        norm_eval: whether batch norms keep their running statistics in training.
    """
    current_form = staticmethod(with_convolutions)  # of weights of the VGG that classifies

    def __init__(self, depth: int = 16, with_last_pool: bool = False, ceil_mode: bool = True,
                 out_indices: Sequence[int] = (3, 4), out_feature_indices: Optional[Sequence[int]] = None,
                 width_factor: float = 1.0, norm_cfg: Optional[NormFactory] = None,
                 init_cfg: Optional[Initializer] = None, input_size: Optional[int] = None, frozen_stages: int = -1,
                 norm_eval: bool = False):
        super().__init__()
        if depth not in CONVOLUTIONS:
            raise ConfigError(f"depth {depth}: there is VGG of depth {', '.join(map(str, CONVOLUTIONS))}; set depth=16")
        if frozen_stages not in range(-1, len(CHANNELS) + 1):
            raise ConfigError(f'frozen_stages {frozen_stages}: expected -1 (none) to {len(CHANNELS)}')
        if with_last_pool:
            raise ConfigError('with_last_pool=True would halve the maps that SSD predicts on; set it to False')
        if width_factor <= 0:
            raise ConfigError(f'width_factor must be positive, not {width_factor}')
        plan = _layers(CONVOLUTIONS[depth], width_factor, ceil_mode, norm_cfg)
        self.features = nn.Sequential(*plan.layers)
        self.out_channels, self.norm_eval = plan.out_channels, norm_eval
        self.out_feature_indices = tuple(plan.taps if out_feature_indices is None else out_feature_indices)
        if max(self.out_feature_indices) >= len(plan.layers):
            raise ConfigError(f'out_feature_indices {self.out_feature_indices}: features has {len(plan.layers)} layers')
        self.frozen = plan.layers[:plan.ends[frozen_stages - 1]] if frozen_stages > 0 else []
        self.init_weights(init_cfg)
        freeze(self.frozen)

    def train(self, mode: bool = True) -> SSDVGG:
        super().train(mode)
        keep_in_evaluation(self.frozen, self, self.norm_eval)
        return self

    def init_weights(self, init_cfg: Optional[Initializer]) -> None:
        """Kaiming-normal weights, then what `init_cfg` loads over them."""
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                kaiming_normal(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        initialize(self, init_cfg)

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> conv4_3 (N, 512, H/8, W/8) and fc7 (N, 1024, H/16, W/16), times the width factor."""
        outputs = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.out_feature_indices:
                outputs.append(x)
        return tuple(outputs)


def scaled(channels: int, factor: float) -> int:
    """Channels times a width factor, to a multiple of 8."""
    return channels if factor == 1 else max(8, round(channels * factor / 8) * 8)


class _Plan(NamedTuple):
    """Fields:
        layers: all of them, in order.
        out_channels, taps: channels of the last convolution of stage 4 and of fc7, and the indices of both after ReLU.
        ends: index behind the last layer of each stage.
    """
    layers: List[nn.Module]
    out_channels: List[int]
    taps: List[int]
    ends: List[int]


def _layers(counts: Sequence[int], width: float, ceil_mode: bool, norm: Optional[NormFactory]) -> _Plan:
    layers: List[nn.Module] = []
    channels, taps, out_channels, ends = 3, [], [], []

    def convolution(out: int, kernel_size: int, padding: int, dilation: int = 1) -> None:
        nonlocal channels
        layers.append(nn.Conv2d(channels, out, kernel_size, padding=padding, dilation=dilation, bias=norm is None))
        if norm is not None:
            layers.append(norm(out))
        layers.append(nn.ReLU(inplace=True))
        channels = out

    for stage, (count, out) in enumerate(zip(counts, CHANNELS)):
        for _ in range(count):
            convolution(scaled(out, width), 3, 1)
        if stage == 3:
            taps.append(len(layers) - 1)
            out_channels.append(channels)
        if stage < len(CHANNELS) - 1:
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=ceil_mode))
        ends.append(len(layers))
    layers.append(nn.MaxPool2d(3, stride=1, padding=1))
    convolution(scaled(FC_CHANNELS, width), 3, 6, dilation=6)
    convolution(scaled(FC_CHANNELS, width), 1, 0)
    return _Plan(layers, [*out_channels, channels], [*taps, len(layers) - 1], ends)
