"""Kinds of components that make up a detector."""
from mmcv_need.registry import Registry

BACKBONES = Registry('BACKBONES')
NECKS = Registry('NECKS')
HEADS = Registry('HEADS')
DETECTORS = Registry('DETECTORS')
NORM_LAYERS = Registry('NORM_LAYERS')
INITIALIZERS = Registry('INITIALIZERS')
