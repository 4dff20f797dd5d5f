"""MMDetection 3's configs in MMDetection 2.28's form: each section by the module that is named for it."""
from __future__ import annotations

import warnings
from typing import List

from mmcv_need.config import Config
from mmdet.apis.dialects.version_3.environment import settle_environment
from mmdet.apis.dialects.version_3.evaluators import settle_evaluators
from mmdet.apis.dialects.version_3.hooks import settle_hooks
from mmdet.apis.dialects.version_3.loaders import settle_loaders
from mmdet.apis.dialects.version_3.loops import settle_loops
from mmdet.apis.dialects.version_3.preprocessor import take_preprocessor
from mmdet.apis.dialects.version_3.schedules import settle_schedules

# Top-level keys of MMDetection 3 that are read here: dicts, lists, and others.
SECTIONS = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'val_cfg', 'default_hooks', 'env_cfg', 'log_processor',
            'visualizer', 'randomness', 'data_preprocessor')
LISTS = ('vis_backends',)
KEYS = (*SECTIONS, *LISTS, 'val_evaluator', 'test_evaluator', 'param_scheduler', 'resume', 'default_scope', 'launcher',
        'tta_model', 'tta_pipeline', 'experiment_name')


def settle_version_3(cfg: Config) -> None:
    """Bring what MMDetection 3 says otherwise to the one form, in place. A warning names what has no counterpart here.

    Raises:
        ConfigError: something that would change what is computed, and cannot be said here.
    """
    idle: List[str] = []
    settle_loops(cfg)
    finish = take_preprocessor(cfg, idle)
    settle_loaders(cfg, finish, idle)
    settle_evaluators(cfg, idle)
    settle_schedules(cfg)
    settle_hooks(cfg, idle)
    settle_environment(cfg, idle)
    if idle:
        name = f'{cfg.filename}: ' if cfg.filename else ''
        warnings.warn(f"{name}no counterpart here, and so no effect: {', '.join(idle)}", UserWarning, stacklevel=3)
