"""Kinds of components that match boxes, measure overlaps, and code boxes; and MMDetection's names for building them."""
from __future__ import annotations

from typing import Any

from mmcv_need.registry import Registry, build_from_cfg

BBOX_ASSIGNERS = Registry('BBOX_ASSIGNERS')
BBOX_SAMPLERS = Registry('BBOX_SAMPLERS')
BBOX_CODERS = Registry('BBOX_CODERS')
IOU_CALCULATORS = Registry('IOU_CALCULATORS')


def build_assigner(cfg: Any, **default_args: Any) -> Any:
    return build_from_cfg(cfg, BBOX_ASSIGNERS, default_args)


def build_sampler(cfg: Any, **default_args: Any) -> Any:
    return build_from_cfg(cfg, BBOX_SAMPLERS, default_args)


def build_bbox_coder(cfg: Any, **default_args: Any) -> Any:
    return build_from_cfg(cfg, BBOX_CODERS, default_args)


def build_iou_calculator(cfg: Any, **default_args: Any) -> Any:
    return build_from_cfg(cfg, IOU_CALCULATORS, default_args)
