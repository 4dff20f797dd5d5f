"""Kinds of components that make up a detector, and by which names components in MMDetection's manner build them.

Where a config is built, its innermost dicts come first: what such a component is given may be an object already, and these
functions return it. A dict, such as one that the component makes itself, they build.
"""
from __future__ import annotations

from typing import Any, Mapping, Optional

from torch import nn

from mmcv_need.registry import Registry, build_from_cfg

BACKBONES = Registry('BACKBONES')
NECKS = Registry('NECKS')
HEADS = Registry('HEADS')
LOSSES = Registry('LOSSES')
DETECTORS = Registry('DETECTORS')
CONV_LAYERS = Registry('CONV_LAYERS', factories=True)
NORM_LAYERS = Registry('NORM_LAYERS', factories=True)
ACTIVATION_LAYERS = Registry('ACTIVATION_LAYERS', factories=True)
INITIALIZERS = Registry('INITIALIZERS')


def build_backbone(cfg: Any) -> Any:
    return _built(cfg, BACKBONES)


def build_neck(cfg: Any) -> Any:
    return _built(cfg, NECKS)


def build_head(cfg: Any) -> Any:
    return _built(cfg, HEADS)


def build_loss(cfg: Any) -> Any:
    return _built(cfg, LOSSES)


def build_detector(cfg: Any, train_cfg: Optional[Mapping[str, Any]] = None,
                   test_cfg: Optional[Mapping[str, Any]] = None) -> Any:
    """A detector. `train_cfg`, `test_cfg`: where MMDetection before 2.9 kept them, beside the model."""
    outside = {'train_cfg': train_cfg, 'test_cfg': test_cfg}
    return build_from_cfg(cfg, DETECTORS, {name: value for name, value in outside.items() if value is not None})


def _built(cfg: Any, kind: Registry) -> Any:
    """One component; a list of them one behind the other."""
    made = build_from_cfg(cfg, kind)
    return nn.Sequential(*made) if isinstance(made, list) else made
