"""Train a detector: python tools/train.py configs/ssd300_coco.py"""
from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Optional, Sequence, Tuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need import device as devices
from mmcv_need.checkpoint import find_latest, read_checkpoint
from mmcv_need.config import Config
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.errors import ConfigError
from mmcv_need.logger import get_logger
from mmcv_need.registry import build
from mmdet.apis import train_detector
from mmdet.apis.checks import check_sections, evaluates, require
from mmdet.apis.command_line import add_card_options, add_common_options, choose_seed, read_config, run, start_device
from mmdet.apis.data_root import check_data_files
from mmdet.apis.env import env_info
from mmdet.apis.train import build_dataset
from mmdet.models import DETECTORS
from mmdet.version import __version__


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a detector')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('--work-dir', help='where logs and checkpoints go; work_dirs/<config name> by default')
    resume = parser.add_mutually_exclusive_group()
    resume.add_argument('--resume-from', metavar='CHECKPOINT', help='go on exactly where this checkpoint was written')
    resume.add_argument('--auto-resume', action='store_true',
                        help='go on from the newest checkpoint of the work dir, if there is one')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate while training')
    parser.add_argument('--gpus', type=int, default=1, help='number of cards; for more than 1 use torchrun --nproc_per_node N')
    add_card_options(parser)
    parser.add_argument('--seed', type=int, help='of weights, order and augmentation; drawn and logged if not given')
    parser.add_argument('--deterministic', action='store_true', help='repeatable algorithms on accelerators, slower')
    parser.add_argument('--max_steps', '--max-steps', type=int, default=0,
                        help='stop after exactly so many iterations; 0 runs all')
    add_common_options(parser)
    return parser.parse_args(arguments)


def settle(args: argparse.Namespace) -> Tuple[Config, Optional[str]]:
    """The config of this run, and the checkpoint that it goes on from, if any."""
    cfg = read_config(args)
    require(cfg, 'model', 'data', 'optimizer', 'runner')
    require(cfg, 'model.train_cfg')
    if args.launcher == 'none' and args.gpus > 1:
        raise ConfigError(f'--gpus {args.gpus}: several cards need a process each: torchrun --nproc_per_node {args.gpus} '
                          f'tools/train.py {args.config} --launcher pytorch')
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg['work_dir'] = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    cfg['deterministic'] = args.deterministic or bool(cfg.get('deterministic'))
    used = ['train', 'val'] if not args.no_validate and evaluates(cfg) else ['train']
    check_sections(cfg, *used)
    check_data_files(cfg, *used)
    newest = find_latest(cfg.work_dir) if args.auto_resume else None
    resume_from = args.resume_from or newest or cfg.get('resume_from')
    cfg['seed'] = args.seed if args.seed is not None else cfg.get('seed')
    if resume_from:
        cfg['seed'] = resumed_seed(resume_from, cfg.seed)
        cfg.model.backbone['init_cfg'] = None  # the checkpoint has all weights
    return cfg, resume_from


def resumed_seed(checkpoint: str, given: Optional[int]) -> Optional[int]:
    """The seed that a run goes on with: order and augmentation follow from it.

    Raises:
        ConfigError: another one was given.
    """
    stored = (read_checkpoint(checkpoint).get('meta') or {}).get('seed')
    if None not in (stored, given) and stored != given:
        raise ConfigError(f'{checkpoint}: was trained with seed {stored}; to go on with seed {given} would be another run. '
                          f'Leave the seed out, or start from its weights: --cfg-options load_from={checkpoint}')
    return given if stored is None else stored


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    cfg, resume_from = settle(args)
    device = start_device(args, cfg)
    cfg['seed'] = choose_seed(cfg.seed, device)
    devices.seed_all(cfg.seed)
    timestamp = time.strftime('%Y%m%d_%H%M%S')
    model = build(cfg, DETECTORS, key='model')  # before the data: weights that are missing show within a second
    dataset = build_dataset(cfg, 'train')
    rank, world_size = get_dist_info()
    logger = get_logger('mmdet', os.path.join(cfg.work_dir, f'{timestamp}.log'), cfg.get('log_level', 'INFO'), rank)
    if rank == 0:
        cfg.dump(os.path.join(cfg.work_dir, os.path.basename(args.config)))
    environment, line = env_info(), '-' * 60
    logger.info('Environment info:\n%s\n%s\n%s', line, environment, line)
    logger.info('Distributed training: %s, device: %s', world_size > 1, devices.describe(device))
    logger.info('Config:\n%s', cfg.pretty_text)
    logger.info('Set random seed to %d, deterministic: %s', cfg.seed, cfg.deterministic)
    meta = {'env_info': environment, 'config': cfg.pretty_text, 'seed': cfg.seed, 'exp_name': os.path.basename(args.config),
            'mmdet_version': __version__, 'CLASSES': list(dataset.CLASSES)}
    train_detector(model, dataset, cfg, device=device, logger=logger, validate=not args.no_validate, meta=meta,
                   max_steps=args.max_steps or None, timestamp=timestamp, resume_from=resume_from)


if __name__ == '__main__':
    run(main)
