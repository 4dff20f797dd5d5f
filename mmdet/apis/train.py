"""Wire a training run together: wrapper, optimizer, loaders, runner, hooks."""
from __future__ import annotations

from functools import partial
from logging import Logger
from typing import Any, Callable, Dict, Optional

import torch
from torch import nn

from mmcv_need.averages import evaluated_weights
from mmcv_need.builder import build_optimizer
from mmcv_need.checkpoint import Loaded, read_checkpoint
from mmcv_need.compiling import Compiling
from mmcv_need.config import Config
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.dist_utils import get_dist_info, on_rank_0
from mmcv_need.distributed import MMDistributedDataParallel
from mmcv_need.epoch_based_runner import RUNNERS, EpochBasedRunner
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import Precision
from mmcv_need.pretrained import local_file
from mmcv_need.registry import build
from mmcv_need.stop_signals import listening
from mmcv_need.weights import load_weights
from mmdet.apis.classes import check_classes
from mmdet.apis.dataset_check import check_before_run
from mmdet.apis.datasets import build_val_losses
from mmdet.apis.run_hooks import bad_list, evaluation, register_hooks
from mmdet.apis.settings import DataSettings, OptimizerSettings
from mmdet.apis.test import finish_batch
from mmdet.apis.workflow import has_val, workflow_of
from mmdet.datasets import train_loader


def train_detector(model: nn.Module, dataset: Any, cfg: Config, *, device: torch.device, logger: Logger,
                   validate: bool = True, meta: Optional[Dict[str, Any]] = None, max_steps: Optional[int] = None,
                   timestamp: Optional[str] = None, resume_from: Optional[Loaded] = None, about: bool = False,
                   prepare: Callable[[], None] = lambda: None) -> EpochBasedRunner:
    """Train a detector as a config says.

    Args:
        model: a detector with losses.
        dataset: what to train on.
        cfg: in canonical form (dialects/), with `work_dir` and `seed` set.
        device: this process's.
        logger: the run's.
        validate: whether to evaluate on `data.val` meanwhile.
        meta: plain data for the checkpoints.
        max_steps: stop after exactly so many iterations.
        timestamp: of the log files' names.
        resume_from: checkpoint to go on from.
        about: whether about the same place in its epoch will do, among other batches.
        prepare: called when all is built, loaded and checked, before anything is written: nothing that is wrong costs an
            earlier run its files.

    Returns:
        The runner, at the end of the run. From its first iteration on, SIGTERM, SIGUSR1 and a first SIGINT end it early, with
        a checkpoint; `runner.complete` tells.
    """
    check_classes(model, dataset, cfg)
    data = build(cfg, DataSettings, key='data')
    on_rank_0(partial(check_before_run, dataset, 'data.train', data, logger))
    precision = build_precision(cfg, device)
    logger.info('Precision: %s', precision)
    if cfg.get('compile'):
        compiling = build(cfg, Compiling, key='compile', device=device)
        model.compile_learning(compiling)
        logger.info('Compiled: %s', compiling)
    wrapper = wrap(model, cfg, device, precision)
    steps = build(cfg, OptimizerSettings, key='optimizer_config') if cfg.get('optimizer_config') else OptimizerSettings()
    optimizer = OptimizerStep(build_optimizer(model, cfg), steps.grad_clip, precision.loss_scale, steps.cumulative_iters,
                              model.buffers())
    runner = build(cfg, RUNNERS, key='runner', model=wrapper, optimizer=optimizer, device=device, work_dir=cfg.work_dir,
                   logger=logger, meta=meta, max_steps=max_steps)
    runner.timestamp = timestamp or runner.timestamp
    register_hooks(runner, cfg, evaluation(cfg, data, runner, dataset.CLASSES) if validate else None)
    if resume_from:
        runner.resume(*resume_from, about=about)
    elif cfg.get('load_from'):
        mismatch = load_weights(model, evaluated_weights(read_checkpoint(local_file(cfg.load_from))), cfg.load_from)
        logger.info('load_from %s%s', cfg.load_from, f':\n{mismatch.table()}' if any(mismatch) else '')
    workflow = workflow_of(cfg)
    loaders = {'train': loader_of(dataset, 'train', cfg, data, runner)}
    if has_val(cfg):
        loaders['val'] = loader_of(build_val_losses(cfg, dataset.CLASSES), 'val', cfg, data, runner)
    with listening(runner.wish):
        runner.run([loaders[mode] for mode, _ in workflow], workflow, prepare)
    return runner


def build_precision(cfg: Config, device: torch.device) -> Precision:
    """What the config says of precision; float32 if it says nothing."""
    return build(cfg, Precision, key='precision', device=device) if cfg.get('precision') else Precision(device)


def wrap(model: nn.Module, cfg: Config, device: torch.device, precision: Precision) -> nn.Module:
    """The wrapper of a model that trains in one process, or in several."""
    if get_dist_info()[1] == 1:
        return MMDataParallel(model, device, finish_batch, precision)
    return MMDistributedDataParallel(model, device, finish_batch, cfg.get('find_unused_parameters', False), precision)


def loader_of(dataset: Any, section: str, cfg: Config, data: DataSettings, runner: EpochBasedRunner) -> Any:
    """Batches to compute losses of, as `data` says for a section."""
    return train_loader(dataset, seed=cfg.seed, rank=runner.rank, world_size=runner.world_size,
                        **data.loading(section, runner.device), bad=data.bad_pictures(dataset, bad_list(runner)))
