"""Settings of training and testing for heads in MMDetection's manner, which have them as arguments of their own."""
from __future__ import annotations

import copy
import inspect
from typing import Any

from mmcv_need.arguments import accepted_arguments
from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup
from mmdet.core.post_processing.detections import SSDTestCfg
from mmdet.models import HEADS
from mmdet.models.dense_heads.ssd_head import SSDHead, SSDTrainCfg

SETTINGS = {'train_cfg': SSDTrainCfg, 'test_cfg': SSDTestCfg}


def give_head_its_settings(cfg: Config) -> None:
    """Have a head of somebody's own be given `model.train_cfg` and `model.test_cfg` where it takes them, as in MMDetection.

    The detector keeps what it has a meaning for.
    """
    kind = _class_of(lookup(cfg, 'model.bbox_head.type'))
    if kind is None or issubclass(kind, SSDHead):
        if lookup(cfg, 'model.train_cfg.sampler.type') == 'PseudoSampler':  # takes every box, as SSDHead does
            drop(cfg, 'model.train_cfg.sampler')
        return
    accepted = accepted_arguments(kind, skip_first=False) or {}
    for name, known in SETTINGS.items():
        settings, own = lookup(cfg, f'model.{name}'), f'model.bbox_head.{name}'
        if name in accepted and isinstance(settings, dict) and lookup(cfg, own) is None:
            cfg.merge_from_dict({own: copy.deepcopy(settings)}, source=cfg.where(f'model.{name}'))
            for key in sorted(set(settings) - set(accepted_arguments(known, skip_first=False) or ())):
                drop(cfg, f'model.{name}.{key}')


def _class_of(name: Any) -> Any:
    kind = name if inspect.isclass(name) else HEADS.get(name) if isinstance(name, str) else None
    return kind if inspect.isclass(kind) else None
