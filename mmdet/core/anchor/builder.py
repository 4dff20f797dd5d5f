"""The kind of components that make default boxes, and how components in MMDetection's manner build them."""
from __future__ import annotations

from typing import Any

from mmcv_need.registry import Registry, build_from_cfg

ANCHOR_GENERATORS = Registry('ANCHOR_GENERATORS')
PRIOR_GENERATORS = ANCHOR_GENERATORS  # MMDetection's name since 2.18


def build_anchor_generator(cfg: Any, **default_args: Any) -> Any:
    return build_from_cfg(cfg, ANCHOR_GENERATORS, default_args)


build_prior_generator = build_anchor_generator
