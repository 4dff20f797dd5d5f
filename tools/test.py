"""Evaluate a detector: python tools/test.py configs/ssd300_coco.py work_dirs/ssd300_coco/latest.pth --eval bbox"""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from logging import Logger
from typing import Any, Mapping, Optional, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.errors import UserError
from mmcv_need.logger import get_logger
from mmcv_need.precision import LEVELS
from mmcv_need.registry import build
from mmdet.apis import test_detector
from mmdet.apis.checks import require
from mmdet.apis.classes import check_classes, warn_of_other_classes
from mmdet.apis.command_line import add_common_options, idle_options, read_config, start_device
from mmdet.apis.data_root import check_data_files
from mmdet.apis.datasets import build_dataset, mirror_too
from mmdet.apis.dialects import override_precision
from mmdet.apis.endings import run
from mmdet.apis.evaluation import add_eval_options, eval_arguments, report, take_eval_options
from mmdet.apis.inference import load_detector
from mmdet.apis.painting import painted_paths, save_painted, show_painted
from mmdet.apis.processes import add_card_options, in_processes
from mmdet.apis.results import SUFFIXES, check_writable, prepare_file, prepare_folder, write_results
from mmdet.apis.settings import DataSettings
from mmdet.apis.stack_options import idle_stack_options
from mmdet.apis.test import finish_batch
from mmdet.apis.train import build_precision
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets import eval_loader

IDLE = {'fuse_conv_bn': 'networks are evaluated as they are', 'gpu_collect': 'detections are gathered over the process group',
        'tmpdir': 'detections are gathered over the process group, not through files'}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a detector')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('checkpoint', help='weights to evaluate')
    add_eval_options(parser)
    parser.add_argument('--out', metavar='FILE', help='write the detections: .json (COCO results) or .pkl (MMDetection)')
    parser.add_argument('--show', action='store_true', help='show painted pictures in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='save painted pictures')
    parser.add_argument('--show-score-thr', type=float, default=0.3, metavar='SCORE',
                        help='paint detections from this score on')
    parser.add_argument('--wait-time', type=float, default=0, metavar='SECONDS',
                        help='with --show: go on after so long; 0 waits for a key')
    parser.add_argument('--tta', action='store_true', help='look at each picture mirrored, too')
    parser.add_argument('--opt-level', choices=LEVELS, help="float32, autocast, or half weights; the config's by default")
    parser.add_argument('--work-dir', help='write eval_<time>.json with config and metrics here')
    for name in IDLE:
        parser.add_argument(f"--{name.replace('_', '-')}", **({} if name == 'tmpdir' else {'action': 'store_true'}),
                            help=f'no effect: {IDLE[name]}')
    add_card_options(parser)
    add_common_options(parser, options_mean='--eval-options')
    args = parser.parse_args(arguments)
    if args.options and args.eval_options:
        parser.error('--options and --eval-options cannot be used together; --options is the old name, use --eval-options')
    args.eval_options, args.options = args.eval_options or args.options, {}
    take_eval_options(parser, args)
    if not (args.eval or args.out or args.format_only or args.show or args.show_dir):
        parser.error('say what to do with the detections: --eval bbox, --out FILE, --format-only, --show or --show-dir DIR')
    if args.wait_time < 0:
        parser.error(f'--wait-time {args.wait_time:g}: expected seconds, or 0 to wait for a key')
    if args.out and not args.out.endswith(SUFFIXES):
        parser.error(f'--out {args.out}: expected a name that ends in .json, .pkl or .pickle')
    return args


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


def deliver(args: argparse.Namespace, options: Mapping[str, Any], results: Sequence[Detections], dataset: Any,
            logger: Logger) -> None:
    """Do with the detections what the command line asks for."""
    if args.out:
        write_results(args.out, results, dataset)
        logger.info('wrote the detections to %s', args.out)
    if args.show_dir:
        save_painted(args.show_dir, results, dataset, args.show_score_thr)
    if args.show:
        show_painted(results, dataset, args.show_score_thr, args.wait_time)
    metric = report(args, options, results, dataset, logger)
    if metric and args.work_dir:
        name = time.strftime('eval_%Y%m%d_%H%M%S.json')
        with open(os.path.join(args.work_dir, name), 'w', encoding='utf-8') as file:
            json.dump({'config': args.config, 'metric': metric}, file)


def main(arguments: Sequence[str]) -> Optional[int]:
    args = parse(arguments)
    status = in_processes(args, main, arguments)
    if status is not None:
        return status
    cfg = read_config(args)
    override_precision(cfg, args.opt_level)
    require(cfg, 'model', 'data')
    if cfg.data.get('test') is None:
        raise UserError(f"{args.config}: has no data.test to evaluate on")
    if args.tta:
        mirror_too(cfg)
    check_data_files(cfg, 'test')
    prepare_outputs(args)
    device = start_device(args, cfg)
    model, meta = load_detector(cfg, args.checkpoint)
    dataset = build_dataset(cfg, 'test', test_mode=True)
    check_classes(model, dataset, cfg)
    warn_of_other_classes(cfg, dataset, args.checkpoint, meta.get('CLASSES'))
    options = eval_arguments(args, cfg, dataset)
    if args.out:
        check_writable(args.out, dataset, '--out')
    if args.show_dir:
        painted_paths(args.show_dir, dataset)  # all within the folder, or an error
    rank, world_size = get_dist_info()
    logger = get_logger('mmdet', rank=rank)
    for name in IDLE:
        if getattr(args, name):
            logger.info('--%s has no effect: %s', name.replace('_', '-'), IDLE[name])
    for idle in (*idle_options(args, device, world_size), *idle_stack_options(cfg, device)):
        logger.info(idle)
    data = build(cfg, DataSettings, key='data')
    loader = eval_loader(dataset, rank=rank, world_size=world_size, **data.loading('test', device),
                         bad=data.bad_pictures(dataset))
    precision = build_precision(cfg, device)
    logger.info('Precision: %s', precision)
    results = test_detector(MMDataParallel(model, device, finish_batch, precision), loader)
    if rank == 0:
        deliver(args, options, results, dataset, logger)


if __name__ == '__main__':
    run(main)
