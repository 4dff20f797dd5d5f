"""The hooks of a training run, in MMDetection's order: the checkpoint of an epoch is written before its evaluation."""
from __future__ import annotations

import os
from typing import Any, Dict, Optional, Sequence

from mmcv_need.config import Config
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import HOOKS, CheckpointHook, DistSamplerSeedHook, EvalHook, IterTimerHook
from mmcv_need.hooks.profiler import profiler_of_environment
from mmcv_need.priority import Priority
from mmcv_need.registry import build
from mmdet.apis.checks import check_has_metrics, evaluates
from mmdet.apis.classes import check_same_classes
from mmdet.apis.datasets import build_dataset
from mmdet.apis.dialects import POLICIES, with_policy_hook
from mmdet.apis.evaluation import config_options
from mmdet.apis.settings import DataSettings, EvaluationSettings, LogSettings
from mmdet.apis.test import test_detector
from mmdet.datasets import eval_loader


def register_hooks(runner: EpochBasedRunner, cfg: Config, eval_hook: Optional[EvalHook]) -> None:
    """All hooks that a config asks for, and those that every run has."""
    def place_of(key: str) -> str:
        return f'{cfg.where(key)}: {key}'.lstrip(': ')

    for section, suffix in POLICIES.items():
        if cfg.get(section) is not None:
            runner.register_hook(build(with_policy_hook(cfg, section, suffix), HOOKS, key=section), place=place_of(section))
    if cfg.get('checkpoint_config') is not None:
        runner.register_hook(build(cfg, CheckpointHook, key='checkpoint_config'))
    runner.register_hook(IterTimerHook())
    runner.register_hook(DistSamplerSeedHook())
    if eval_hook is not None:
        runner.register_hook(eval_hook)
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        custom = build(cfg, HOOKS, key=f'custom_hooks.{i}', without=('priority',))
        runner.register_hook(custom, hook.get('priority', Priority.NORMAL), place_of(f'custom_hooks.{i}'))
    asked_for = profiler_of_environment(os.environ)
    if asked_for:
        runner.register_hook(asked_for)
    if cfg.get('log_config') is not None:
        settings = build(cfg, LogSettings, key='log_config')
        for i, hook in enumerate(settings.hooks):
            given = {} if 'interval' in hook else {'interval': settings.interval}
            logger = build(cfg, HOOKS, key=f'log_config.hooks.{i}', **given)
            runner.register_hook(logger, Priority.VERY_LOW, place_of(f'log_config.hooks.{i}'))


def evaluation(cfg: Config, data: DataSettings, runner: EpochBasedRunner, classes: Sequence[str]) -> Optional[EvalHook]:
    """The hook that evaluates on `data.val`, if the config asks for evaluation. `classes`: of the training data."""
    if not evaluates(cfg):
        runner.logger.info('no evaluation: the config has no `evaluation`, or no `data.val`')
        return None
    settings = build(cfg, EvaluationSettings, key='evaluation')
    check_has_metrics(cfg, 'data.val', cfg.data['val'])
    dataset = build_dataset(cfg, 'val', test_mode=True)
    check_same_classes(cfg, dataset, classes)
    named = [settings.options['metric']] if 'metric' in settings.options else []
    dataset.check_metrics(*named, where=cfg.where('evaluation.metric'))
    config_options(cfg, dataset)
    loader = eval_loader(dataset, *data.for_section('val'), runner.rank, runner.world_size, runner.device.type != 'cpu')

    def evaluate(runner: EpochBasedRunner) -> Dict[str, Any]:
        results = test_detector(runner.model, loader)
        return dataset.evaluate(results, logger=runner.logger, **settings.options) if runner.rank == 0 else {}

    return EvalHook(evaluate, **settings.when)
