"""Train a detector: python tools/train.py configs/ssd300_coco.py"""
from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need import device as devices
from mmcv_need.checkpoint import find_latest
from mmcv_need.config import Config
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.errors import ConfigError
from mmcv_need.logger import get_logger
from mmcv_need.registry import build
from mmdet.apis import train_detector
from mmdet.apis.checks import check_sections, require
from mmdet.apis.command_line import add_common_options, choose_seed, read_config, run, start_device
from mmdet.apis.data_root import check_annotation_files
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
    cards = parser.add_mutually_exclusive_group()
    cards.add_argument('--gpus', type=int, help='number of cards; more than 1 needs a launcher: torchrun --nproc_per_node N')
    cards.add_argument('--gpu-ids', type=int, nargs='+', help='which card')
    cards.add_argument('--gpu-id', type=int, help='which card')
    parser.add_argument('--seed', type=int, help='of weights, order and augmentation; drawn and logged if not given')
    parser.add_argument('--deterministic', action='store_true', help='repeatable algorithms on accelerators, slower')
    parser.add_argument('--max_steps', '--max-steps', type=int, default=0,
                        help='stop after exactly so many iterations; 0 runs all')
    add_common_options(parser)
    return parser.parse_args(arguments)


def settle(args: argparse.Namespace) -> Config:
    """The config of this run: the file's, the command line's over it."""
    cfg = read_config(args)
    require(cfg, 'model', 'data', 'optimizer', 'runner')
    require(cfg, 'model.train_cfg')
    card = args.gpu_id if args.gpu_id is not None else args.gpu_ids[0] if args.gpu_ids else None
    if args.launcher == 'none' and max(args.gpus or 1, len(args.gpu_ids or [0])) > 1:
        raise ConfigError('several cards need a process each: torchrun --nproc_per_node N tools/train.py CONFIG '
                          '--launcher pytorch')
    if card is not None and ':' not in args.device and args.device != 'cpu':
        args.device = f'{args.device}:{card}'
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg['work_dir'] = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    cfg['deterministic'] = args.deterministic or bool(cfg.get('deterministic'))
    if args.resume_from:
        cfg['resume_from'] = args.resume_from
    elif args.auto_resume:
        cfg['resume_from'] = find_latest(cfg.work_dir)
    validate = not args.no_validate and cfg.get('evaluation') and cfg.data.get('val') is not None
    used = ['train', 'val'] if validate else ['train']
    check_sections(cfg, *used)
    check_annotation_files(cfg, *used)
    return cfg


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    cfg = settle(args)
    device = start_device(args, cfg)
    cfg['seed'] = choose_seed(args.seed if args.seed is not None else cfg.get('seed'), device)
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
                   max_steps=args.max_steps or None, timestamp=timestamp)


if __name__ == '__main__':
    run(main)
