"""Wire a training run together: wrapper, optimizer, loaders, runner, hooks."""
from __future__ import annotations

import copy
from contextlib import nullcontext
from logging import Logger
from typing import Any, Dict, Optional, Sequence

import torch
from torch import nn

from mmcv_need.builder import build_optimizer
from mmcv_need.checkpoint import load_weights, read_checkpoint, state_dict_of
from mmcv_need.config import Config
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.distributed import MMDistributedDataParallel
from mmcv_need.epoch_based_runner import RUNNERS, EpochBasedRunner
from mmcv_need.hooks import HOOKS, CheckpointHook, DistSamplerSeedHook, EvalHook, IterTimerHook
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import HalfPrecision
from mmcv_need.priority import Priority
from mmcv_need.registry import build
from mmdet.apis.checks import check_has_metrics, evaluates, workflow_of
from mmdet.apis.classes import check_classes, check_same_classes
from mmdet.apis.dataset_lists import with_defaults
from mmdet.apis.dialects import with_lr_hook
from mmdet.apis.evaluation import config_options
from mmdet.apis.settings import DataSettings, EvaluationSettings, LogSettings, OptimizerSettings
from mmdet.apis.test import finish_batch, test_detector
from mmdet.datasets import DATASETS, eval_loader, train_loader


def train_detector(model: nn.Module, dataset: Any, cfg: Config, *, device: torch.device, logger: Logger,
                   validate: bool = True, meta: Optional[Dict[str, Any]] = None, max_steps: Optional[int] = None,
                   timestamp: Optional[str] = None, resume_from: Optional[str] = None) -> EpochBasedRunner:
    """Train a detector as a config says.

    Args:
        model: a detector with losses.
        dataset: what to train on.
        cfg: in canonical form (dialects.py), with `work_dir` and `seed` set.
        device: this process's.
        logger: the run's.
        validate: whether to evaluate on `data.val` meanwhile.
        meta: plain data for the checkpoints.
        max_steps: stop after exactly so many iterations.
        timestamp: of the log files' names.
        resume_from: checkpoint to go on from.

    Returns:
        The runner, at the end of the run.
    """
    check_classes(model, dataset, cfg)
    data = build(cfg, DataSettings, key='data')
    rank, world_size = get_dist_info()
    loader = train_loader(dataset, *data.for_section('train'), cfg.seed, rank, world_size,
                          pin_memory=device.type != 'cpu')
    grad_clip = build(cfg, OptimizerSettings, key='optimizer_config').grad_clip if cfg.get('optimizer_config') else None
    half = build(cfg, HalfPrecision, key='fp16', device=device) if cfg.get('fp16') is not None else None
    autocast = half.autocast if half else nullcontext
    logger.info('Precision: %s', 'float16 where it is safe, weights and losses in float32 (O1)' if half else 'float32 (O0)')
    if world_size > 1:
        wrapper = MMDistributedDataParallel(model, device, finish_batch, cfg.get('find_unused_parameters', False), autocast)
    else:
        wrapper = MMDataParallel(model, device, finish_batch, autocast)
    optimizer = OptimizerStep(build_optimizer(model, cfg), grad_clip, half)
    runner = build(cfg, RUNNERS, key='runner', model=wrapper, optimizer=optimizer, device=device, work_dir=cfg.work_dir,
                   logger=logger, meta=meta, max_steps=max_steps)
    runner.timestamp = timestamp or runner.timestamp
    register_hooks(runner, cfg, evaluation(cfg, data, runner, dataset.CLASSES) if validate else None)
    if resume_from:
        runner.resume(resume_from)
    elif cfg.get('load_from'):
        mismatch = load_weights(model, state_dict_of(read_checkpoint(cfg.load_from)), cfg.load_from)
        logger.info('load_from %s%s', cfg.load_from, f'; {mismatch}' if any(mismatch) else '')
    runner.run([loader], workflow_of(cfg))
    return runner


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


def build_dataset(cfg: Config, section: str, **given: Any) -> Any:
    """The dataset of `data.train`, `data.val` or `data.test`; `given` are defaults for what the config does not say."""
    cfg = copy.deepcopy(cfg)
    cfg.data[section] = with_defaults(cfg.data[section], **given)
    return build(cfg, DATASETS, key=f'data.{section}')


def register_hooks(runner: EpochBasedRunner, cfg: Config, eval_hook: Optional[EvalHook]) -> None:
    """All hooks of a run, in MMDetection's order: the checkpoint of an epoch is written before its evaluation."""
    if cfg.get('lr_config') is not None:
        runner.register_hook(build(with_lr_hook(cfg), HOOKS, key='lr_config'))
    if cfg.get('checkpoint_config') is not None:
        runner.register_hook(build(cfg, CheckpointHook, key='checkpoint_config'))
    runner.register_hook(IterTimerHook())
    runner.register_hook(DistSamplerSeedHook())
    if eval_hook is not None:
        runner.register_hook(eval_hook)
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        custom = build(cfg, HOOKS, key=f'custom_hooks.{i}', without=('priority',))
        runner.register_hook(custom, hook.get('priority', Priority.NORMAL))
    if cfg.get('log_config') is not None:
        settings = build(cfg, LogSettings, key='log_config')
        for i, hook in enumerate(settings.hooks):
            given = {} if 'interval' in hook else {'interval': settings.interval}
            runner.register_hook(build(cfg, HOOKS, key=f'log_config.hooks.{i}', **given), Priority.VERY_LOW)
