"""Train a detector: python tools/train.py configs/ssd300_coco.py"""
from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from logging import Logger
from typing import Any, Dict, Optional, Sequence, Tuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need.stop_signals import RESUMABLE, leave_at_once

if __name__ == '__main__':
    leave_at_once()  # also while the imports below take their seconds

from mmcv_need import device as devices
from mmcv_need.checkpoint import Loaded
from mmcv_need.config import Config
from mmcv_need.dist_utils import get_dist_info, on_rank_0
from mmcv_need.earlier_runs import remove_run, set_aside
from mmcv_need.errors import ConfigError
from mmcv_need.logger import get_logger
from mmcv_need.lone_run import lone_run
from mmcv_need.precision import LEVELS
from mmcv_need.random_state import seed_everything
from mmcv_need.registry import build
from mmcv_need.work_dir import claim_timestamp, mark_finished, unmark_finished
from mmdet.apis import train_detector
from mmdet.apis.auto_scale_lr import enable_auto_scale_lr, scaled_lr
from mmdet.apis.checks import TRAINED_WITH, evaluates, require
from mmdet.apis.command_line import add_common_options, choose_seed, idle_options, read_config, start_device
from mmdet.apis.config_check import Findings, check_sections
from mmdet.apis.data_root import check_data_files
from mmdet.apis.datasets import build_dataset
from mmdet.apis.dialects import override_precision
from mmdet.apis.endings import run
from mmdet.apis.env import env_info
from mmdet.apis.preview import announce
from mmdet.apis.processes import add_card_options, in_processes
from mmdet.apis.resuming import (
    add_resume_options,
    batch_of,
    checkpoints_of,
    goes_on_by_itself,
    resumed_checkpoint,
    resumed_seed,
)
from mmdet.apis.stack_options import idle_stack_options
from mmdet.apis.train import build_precision
from mmdet.apis.trial_network import without_weights
from mmdet.apis.workflow import has_val
from mmdet.models import DETECTORS
from mmdet.models.base_module import BaseModule
from mmdet.version import __version__


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a detector')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('--work-dir', help='where logs and checkpoints go; work_dirs/<config name> by default')
    add_resume_options(parser)
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate while training')
    add_card_options(parser)
    parser.add_argument('--seed', type=int, help='of weights, order and augmentation; drawn and logged if not given')
    parser.add_argument('--diff-seed', action='store_true',
                        help='each process draws other numbers for dropout and the like; the order of the data is one for all')
    parser.add_argument('--deterministic', action='store_true', help='repeatable algorithms on accelerators, slower')
    parser.add_argument('--opt-level', choices=LEVELS, help='float32, autocast, or half weights and activations')
    parser.add_argument('--loss-scale', metavar='NUMBER|dynamic', help='of float16')
    parser.add_argument('--amp', action='store_true', help='O1, unless the config asks for half precision already')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='multiply the learning rate by the batch of all cards over auto_scale_lr.base_batch_size')
    parser.add_argument('--max_steps', '--max-steps', type=int, default=0,
                        help='stop after exactly so many iterations; 0 runs all')
    add_common_options(parser)
    return parser.parse_args(arguments)


def settle(args: argparse.Namespace) -> Tuple[Config, Findings]:
    """The config of this run, checked, and what was found of it."""
    cfg = read_config(args)
    override_precision(cfg, args.opt_level, args.loss_scale, args.amp)
    require(cfg, *TRAINED_WITH)
    if args.max_steps < 0:
        raise ConfigError(f'--max_steps {args.max_steps}: expected a number of iterations, or 0 for all')
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg['work_dir'] = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    cfg['deterministic'] = args.deterministic or bool(cfg.get('deterministic'))
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    used = ['train', 'val'] if (not args.no_validate and evaluates(cfg)) or has_val(cfg) else ['train']
    found = check_sections(cfg, *used)
    check_data_files(cfg, *used)
    cfg['seed'] = args.seed if args.seed is not None else cfg.get('seed')
    return cfg, found


def prepare_work_dir(args: argparse.Namespace, cfg: Config, resume_from: Optional[Loaded], timestamp: str) -> None:
    """Remove what another run left, if asked to; else set aside what this run does not go on from.

    Only then does the config of this run take the place of another's; one that is used in its place stays as it is written.
    """
    name = os.path.basename(args.config)
    dumped = os.path.join(cfg.work_dir, name)
    for folder in sorted({cfg.work_dir, checkpoints_of(cfg)}):
        own = resume_from and os.path.realpath(folder) == os.path.dirname(os.path.realpath(resume_from.path))
        if args.overwrite:
            remove_run(folder, keep=timestamp)
        elif resume_from is None or not goes_on_by_itself(args, cfg):
            set_aside(folder, timestamp, beyond=resume_from if own else None, config=dumped)
    unmark_finished(cfg.work_dir)
    if not (os.path.exists(dumped) and os.path.samefile(dumped, args.config)):
        cfg.dump(dumped)


def start_log(args: argparse.Namespace, cfg: Config, device: Any, timestamp: Optional[str]) -> Tuple[Logger, Dict[str, Any]]:
    """The run's logger, and what its log and its checkpoints say about it."""
    rank, world_size = get_dist_info()
    logger = get_logger('mmdet', os.path.join(cfg.work_dir, f'{timestamp}.log'), cfg.get('log_level', 'INFO'), rank)
    environment, line = env_info(), '-' * 60
    logger.info('Environment info:\n%s\n%s\n%s', line, environment, line)
    logger.info('Distributed training: %s', world_size > 1)
    logger.info('Device: %s', devices.describe(device))
    logger.info('Config:\n%s', cfg.pretty_text)
    logger.info('Set random seed to %d, deterministic: %s', cfg.seed, cfg.deterministic)
    for idle in (*idle_options(args, device, world_size), *idle_stack_options(cfg, device)):
        logger.info(idle)
    return logger, {'env_info': environment, 'config': cfg.pretty_text, 'seed': cfg.seed,
                    'exp_name': os.path.basename(args.config), 'mmdet_version': __version__}


def train(args: argparse.Namespace, cfg: Config, found: Findings, device: Any) -> int:
    """Train in folders that no other run writes to; the exit status."""
    rank, world_size = get_dist_info()
    resume_from = resumed_checkpoint(args, cfg, device)
    cfg['seed'] = choose_seed(resumed_seed(resume_from, cfg.seed) if resume_from else cfg.seed, device)
    seed_everything(cfg.seed + (rank if args.diff_seed else 0))
    scaling = scaled_lr(cfg, world_size)
    # Before the data: weights that are missing show within a second. A checkpoint has all of them.
    model = build(without_weights(cfg) if resume_from else cfg, DETECTORS, key='model')
    if isinstance(model, BaseModule):  # of somebody's own: ours have their first weights
        model.init_weights()
    dataset = build_dataset(cfg, 'train')
    timestamp = on_rank_0(partial(claim_timestamp, cfg.work_dir))
    logger, meta = start_log(args, cfg, device, timestamp)
    if scaling:
        logger.info('%s%s', scaling, '; what the checkpoint says goes before it' if resume_from else '')
    announce(cfg, world_size, found, dataset, logger, validate=not args.no_validate, max_steps=args.max_steps,
             starts_from=resume_from.path if resume_from else None)
    if resume_from is None and goes_on_by_itself(args, cfg):
        logger.info('%s has no checkpoint to go on from: a new run begins', checkpoints_of(cfg))
    prepare = partial(prepare_work_dir, args, cfg, resume_from, timestamp)
    runner = train_detector(model, dataset, cfg, device=device, logger=logger, validate=not args.no_validate,
                            meta={**meta, **batch_of(cfg, world_size), 'CLASSES': list(dataset.CLASSES)},
                            max_steps=args.max_steps or None, timestamp=timestamp, resume_from=resume_from,
                            about=args.allow_batch_change, prepare=partial(on_rank_0, prepare))
    if runner.complete:
        on_rank_0(partial(mark_finished, cfg.work_dir, runner.epoch, runner.iter, runner.stopped))
    return 0 if runner.complete else runner.wish.status


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    status = in_processes(args, main, arguments, settle, RESUMABLE)
    if status is not None:
        return status
    cfg, found = settle(args)
    device = start_device(args, cfg)
    build_precision(cfg, device)  # what the device cannot do is said before there is anything else
    with lone_run((cfg.work_dir, checkpoints_of(cfg))):
        return train(args, cfg, found, device)


if __name__ == '__main__':
    run(main)
