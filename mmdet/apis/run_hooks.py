"""The hooks of a training run, in MMDetection's order: the checkpoint of an epoch is written before its evaluation."""
from __future__ import annotations

import os
from functools import partial
from typing import Any, Dict, Optional, Sequence

from mmcv_need.agreement import until_asked
from mmcv_need.config import Config
from mmcv_need.dist_utils import on_rank_0
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import HOOKS, CheckpointHook, DistSamplerSeedHook, EvalHook, IterTimerHook
from mmcv_need.hooks.profiler import profiler_of_environment
from mmcv_need.hooks.stop_signal import StopSignalHook
from mmcv_need.priority import Priority
from mmcv_need.registry import build
from mmdet.apis.checks import check_has_metrics, evaluates
from mmdet.apis.classes import check_same_classes
from mmdet.apis.dataset_check import check_before_run
from mmdet.apis.datasets import build_dataset
from mmdet.apis.dialects import POLICIES, with_policy_hook
from mmdet.apis.evaluation import check_save_best, config_options
from mmdet.apis.listed_hooks import custom_hooks, logger_hooks, place_of
from mmdet.apis.settings import DataSettings, EvaluationSettings
from mmdet.apis.test import test_detector
from mmdet.datasets import eval_loader


def register_hooks(runner: EpochBasedRunner, cfg: Config, eval_hook: Optional[EvalHook]) -> None:
    """All hooks that a config asks for, and those that every run has."""
    runner.register_hook(StopSignalHook(), Priority.HIGHEST)  # or an evaluation would begin that is not wanted any more
    for section, suffix in POLICIES.items():
        if cfg.get(section) is not None:
            schedule = build(with_policy_hook(cfg, section, suffix), HOOKS, key=section)
            runner.register_hook(schedule, place=place_of(cfg, section))
    if cfg.get('checkpoint_config') is not None:
        runner.register_hook(build(cfg, CheckpointHook, key='checkpoint_config'))
    runner.register_hook(IterTimerHook())
    runner.register_hook(DistSamplerSeedHook())
    if eval_hook is not None:
        runner.register_hook(eval_hook)
    for listed in (*logger_hooks(cfg), *custom_hooks(cfg)):  # MMDetection's order: VERY_LOW comes after the log line
        runner.register_hook(*listed)
    asked_for = profiler_of_environment(os.environ)
    if asked_for:
        runner.register_hook(asked_for, place='PROFILE_TYPE')


def bad_list(runner: EpochBasedRunner) -> str:
    """The file in which a run lists what it skips of its data."""
    return os.path.join(runner.work_dir, f'{runner.timestamp}.bad_data.txt')


def evaluation(cfg: Config, data: DataSettings, runner: EpochBasedRunner, classes: Sequence[str]) -> Optional[EvalHook]:
    """The hook that evaluates on `data.val`, if the config asks for evaluation. `classes`: of the training data."""
    if not evaluates(cfg):
        runner.logger.info('no evaluation: the config has no `evaluation`, or no `data.val`')
        return None
    settings = build(cfg, EvaluationSettings, key='evaluation')
    check_has_metrics(cfg, 'data.val', cfg.data['val'])
    dataset = build_dataset(cfg, 'val', test_mode=True)
    check_same_classes(cfg, dataset, classes)
    on_rank_0(partial(check_before_run, dataset, 'data.val', data, runner.logger))
    named = [settings.options['metric']] if 'metric' in settings.options else []
    dataset.check_metrics(*named, where=cfg.where('evaluation.metric'))
    config_options(cfg, dataset)
    names = dataset.metric_names(**settings.options) if hasattr(dataset, 'metric_names') else None
    check_save_best(cfg, settings.when['save_best'], names)
    loader = eval_loader(dataset, rank=runner.rank, world_size=runner.world_size, **data.loading('val', runner.device),
                         bad=data.bad_pictures(dataset, bad_list(runner)))

    def evaluate(runner: EpochBasedRunner) -> Dict[str, Any]:
        results = test_detector(runner.model, loader, until=partial(until_asked, wish=runner.wish, device=runner.device))
        return on_rank_0(partial(dataset.evaluate, results, logger=runner.logger, **settings.options)) or {}

    return EvalHook(evaluate, names=names, **settings.when)
