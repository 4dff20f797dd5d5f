"""The layers that SSD's head has for each level.

Source: Liu et al., SSD, ECCV 2016, sec. 2.1; SSDLite: Sandler et al., CVPR 2018, sec. 6.2; keys as in MMDetection.
"""
from __future__ import annotations

from typing import Any, List

from torch import nn

from mmdet.models.conv_module import ConvModule, DepthwiseSeparableConvModule


def prediction_layers(in_channels: int, out_channels: int, *, stacked_convs: int = 0, feat_channels: int = 256,
                      use_depthwise: bool = False, **settings: Any) -> nn.Sequential:
    """From a level's features (N, in_channels, H, W) to what is predicted of each of its cells (N, out_channels, H, W).

    Args:
        in_channels, out_channels: of the whole.
        stacked_convs: convolutions before the last one.
        feat_channels: of those.
        use_depthwise: whether convolutions are depthwise separable; the last one's second half has no norm.
        settings: `conv_cfg`, `norm_cfg` and `act_cfg` of all but the last.
    """
    wide = DepthwiseSeparableConvModule if use_depthwise else ConvModule
    layers: List[nn.Module] = []
    for _ in range(stacked_convs):
        layers.append(wide(in_channels, feat_channels, 3, padding=1, **settings))
        in_channels = feat_channels
    if use_depthwise:
        layers.append(ConvModule(in_channels, in_channels, 3, padding=1, groups=in_channels, **settings))
        layers.append(nn.Conv2d(in_channels, out_channels, 1))
    else:
        layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1))
    return nn.Sequential(*layers)
