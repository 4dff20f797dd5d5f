"""Kinds of components that make up a detector."""
from mmcv_need.registry import Registry

BACKBONES = Registry('BACKBONES')
NECKS = Registry('NECKS')
HEADS = Registry('HEADS')
DETECTORS = Registry('DETECTORS')
LOSSES = Registry('LOSSES')
CONV_LAYERS = Registry('CONV_LAYERS', factories=True)
NORM_LAYERS = Registry('NORM_LAYERS', factories=True)
ACTIVATION_LAYERS = Registry('ACTIVATION_LAYERS', factories=True)
INITIALIZERS = Registry('INITIALIZERS')
