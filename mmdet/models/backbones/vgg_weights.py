"""Weights of the VGG-16 that classifies, as those of SSD's two last convolutions.

Source: Liu et al., SSD, ECCV 2016, sec. 3 (fc6 and fc7 are subsampled); Chen et al., DeepLab, ICLR 2015, sec. 3.1. Kept are
every fourth neuron, and every third row and column of fc6.
"""
from __future__ import annotations

from typing import Dict, Mapping

from torch import Tensor

from mmcv_need.finiteness import is_finite

FC6, FC7 = 'features.31', 'features.33'  # SSDVGG's
CLASSIFIER = {FC6: 'classifier.0', FC7: 'classifier.3'}  # torchvision's
NEURON, PIXEL = 4, 3  # each of so many is kept: 1024 of 4096, and 3 x 3 of 7 x 7
FC6_SHAPE = (4096, 512, 7, 7)  # neurons, channels of pool5, rows, columns


def with_convolutions(state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """A state dict with fc6 and fc7 as convolutions, where it has them as VGG-16's linear layers, and all else as it was.

    What has them as convolutions already, as `vgg16_caffe`, stays as it is; so does a classifier of other sizes, or one that
    has numbers that are none, as torchvision's weights that have features only.
    """
    found = dict(state)
    linear = {f'{ours}.{kind}': state.get(f'{theirs}.{kind}') for ours, theirs in CLASSIFIER.items()
              for kind in ('weight', 'bias')}
    shapes = {f'{FC6}.weight': (4096, 25088), f'{FC6}.bias': (4096,), f'{FC7}.weight': (4096, 4096), f'{FC7}.bias': (4096,)}
    if any(key in state or value is None or tuple(value.shape) != shapes[key] or not is_finite(value)
           for key, value in linear.items()):
        return found
    weight6, weight7 = linear[f'{FC6}.weight'].reshape(FC6_SHAPE), linear[f'{FC7}.weight']
    found[f'{FC6}.weight'] = weight6[::NEURON, :, ::PIXEL, ::PIXEL].contiguous()
    found[f'{FC7}.weight'] = weight7[::NEURON, ::NEURON, None, None].contiguous()
    for name in (FC6, FC7):
        found[f'{name}.bias'] = linear[f'{name}.bias'][::NEURON].contiguous()
    return found
