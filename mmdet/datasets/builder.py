"""Kinds of components that deliver samples, and how programs in MMDetection's manner build a dataset."""
from __future__ import annotations

from typing import Any, Mapping, Optional

from mmcv_need.registry import Registry, build_from_cfg

DATASETS = Registry('DATASETS')
PIPELINES = Registry('PIPELINES')


def build_dataset(cfg: Any, default_args: Optional[Mapping[str, Any]] = None) -> Any:
    """A dataset; of a list of settings, all of them one behind the other."""
    if isinstance(cfg, (list, tuple)):
        parts = [build_dataset(item, default_args) for item in cfg]
        return build_from_cfg({'type': 'ConcatDataset', 'datasets': parts}, DATASETS)
    return build_from_cfg(cfg, DATASETS, default_args)
