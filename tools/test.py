"""Evaluate a detector: python tools/test.py configs/ssd300_coco.py work_dirs/ssd300_coco/latest.pth --eval bbox"""
from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import time
from logging import Logger
from typing import Any, Mapping, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need.arguments import is_a, plain_type
from mmcv_need.config import DictAction
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.errors import ConfigError, UserError, did_you_mean
from mmcv_need.logger import get_logger
from mmcv_need.registry import build
from mmdet.apis import test_detector
from mmdet.apis.checks import require
from mmdet.apis.command_line import add_card_options, add_common_options, read_config, run, start_device
from mmdet.apis.data_root import check_data_files
from mmdet.apis.inference import load_detector
from mmdet.apis.results import painted_paths, prepare_file, prepare_folder, save_painted, show_painted, write_results
from mmdet.apis.settings import DataSettings
from mmdet.apis.test import finish_batch
from mmdet.apis.train import build_dataset, check_classes
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets import eval_loader

IDLE = {'fuse_conv_bn': 'networks are evaluated as they are', 'gpu_collect': 'detections are gathered over the process group',
        'tmpdir': 'detections are gathered over the process group, not through files'}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a detector')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('checkpoint', help='weights to evaluate')
    parser.add_argument('--eval', nargs='+', metavar='METRIC', help='bbox')
    parser.add_argument('--out', metavar='FILE', help='write the detections: .json (COCO results) or .pkl (MMDetection)')
    parser.add_argument('--format-only', action='store_true',
                        help='only write COCO results to PREFIX.bbox.json, with --eval-options jsonfile_prefix=PREFIX')
    parser.add_argument('--show', action='store_true', help='show painted pictures in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='save painted pictures')
    parser.add_argument('--show-score-thr', type=float, default=0.3, metavar='SCORE',
                        help='paint detections from this score on')
    parser.add_argument('--work-dir', help='write eval_<time>.json with config and metrics here')
    parser.add_argument('--eval-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='such as classwise=True; jsonfile_prefix=PREFIX writes PREFIX.bbox.json')
    for name in IDLE:
        parser.add_argument(f"--{name.replace('_', '-')}", **({} if name == 'tmpdir' else {'action': 'store_true'}),
                            help=f'no effect: {IDLE[name]}')
    add_card_options(parser)
    add_common_options(parser, options_mean='--eval-options')
    args = parser.parse_args(arguments)
    if args.options and args.eval_options:
        parser.error('--options and --eval-options cannot be used together; --options is the old name, use --eval-options')
    args.eval_options, args.options = args.eval_options or args.options, {}
    prefix = args.eval_options.pop('jsonfile_prefix', None)
    args.json_file = None if prefix is None else f'{prefix}.bbox.json'
    if not (args.eval or args.out or args.format_only or args.show or args.show_dir):
        parser.error('say what to do with the detections: --eval bbox, --out FILE, --format-only, --show or --show-dir DIR')
    if args.eval and args.format_only:
        parser.error('--eval and --format-only cannot be used together')
    if args.format_only and args.json_file is None:
        parser.error('--format-only needs --eval-options jsonfile_prefix=PREFIX')
    if args.out and not args.out.endswith(('.json', '.pkl', '.pickle')):
        parser.error(f'--out {args.out}: expected a name that ends in .json, .pkl or .pickle')
    return args


def check_eval_options(options: Mapping[str, Any], dataset: Any) -> None:
    """What --eval-options name are arguments of the dataset's `evaluate`, with values of their types.

    Raises:
        ConfigError: one is not.
    """
    accepted = inspect.signature(dataset.evaluate).parameters
    known = [name for name in accepted if name not in ('results', 'metric', 'logger')]
    for name, value in options.items():
        if name == 'metric':
            raise ConfigError(f'--eval-options metric={value}: metrics are given by --eval, such as --eval bbox')
        if name not in known:
            raise ConfigError(f'--eval-options {name}: the evaluation of a {type(dataset).__name__} has no such option.'
                              f"{did_you_mean(name, [*known, 'jsonfile_prefix'])} To change the config, use --cfg-options")
        expected = plain_type(accepted[name])
        if expected and not is_a(value, expected):
            raise ConfigError(f'--eval-options {name}: expected a value of type {expected}, not {value!r}')


def prepare_outputs(args: argparse.Namespace) -> None:
    """Make the folders of all that will be written.

    Raises:
        UserError: something cannot be written.
    """
    for path, option in ((args.out, '--out'), (args.json_file, '--eval-options jsonfile_prefix')):
        if path:
            prepare_file(path, option)
    for folder, option in ((args.show_dir, '--show-dir'), (args.work_dir, '--work-dir')):
        if folder:
            prepare_folder(folder, option)


def deliver(args: argparse.Namespace, results: Sequence[Detections], dataset: Any, logger: Logger) -> None:
    """Do with the detections what the command line asks for."""
    if args.out:
        write_results(args.out, results, dataset)
        logger.info('wrote the detections to %s', args.out)
    if args.json_file:
        write_results(args.json_file, results, dataset)
        logger.info('wrote the detections to %s', args.json_file)
    if args.show_dir:
        save_painted(args.show_dir, results, dataset, args.show_score_thr)
    if args.show:
        show_painted(results, dataset, args.show_score_thr)
    if args.eval:
        metric = dataset.evaluate(results, metric=args.eval, logger=logger, **args.eval_options)
        print(metric)
        if args.work_dir:
            name = time.strftime('eval_%Y%m%d_%H%M%S.json')
            with open(os.path.join(args.work_dir, name), 'w', encoding='utf-8') as file:
                json.dump({'config': args.config, 'metric': metric}, file)


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    cfg = read_config(args)
    require(cfg, 'model', 'data')
    if cfg.data.get('test') is None:
        raise UserError(f"{args.config}: has no data.test to evaluate on")
    check_data_files(cfg, 'test')
    prepare_outputs(args)
    device = start_device(args, cfg)
    model, _ = load_detector(cfg, args.checkpoint)
    dataset = build_dataset(cfg, 'test', test_mode=True)
    check_classes(model, dataset, cfg)
    dataset.check_metrics(args.eval or [], where='--eval')
    check_eval_options(args.eval_options, dataset)
    if args.show_dir:
        painted_paths(args.show_dir, dataset)  # all within the folder, or an error
    rank, world_size = get_dist_info()
    logger = get_logger('mmdet', rank=rank)
    for name in IDLE:
        if getattr(args, name):
            logger.info('--%s has no effect: %s', name.replace('_', '-'), IDLE[name])
    loader = eval_loader(dataset, *build(cfg, DataSettings, key='data').for_section('test'), rank, world_size)
    results = test_detector(MMDataParallel(model, device, finish_batch), loader)
    if rank == 0:
        deliver(args, results, dataset, logger)


if __name__ == '__main__':
    run(main)
