"""Metrics of saved detections: python tools/analysis_tools/eval_metric.py configs/ssd300_coco.py found.pkl --eval bbox"""
from __future__ import annotations

import argparse
import os
import sys
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.config import DictAction
from mmcv_need.logger import get_logger
from mmdet.apis.checks import require
from mmdet.apis.command_line import read_config
from mmdet.apis.custom_imports import add_import_option
from mmdet.apis.data_root import check_data_files
from mmdet.apis.datasets import build_dataset
from mmdet.apis.endings import run
from mmdet.apis.evaluation import add_eval_options, eval_arguments, report, take_eval_options
from mmdet.apis.results import prepare_file, read_results


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Metrics of detections that were saved')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('pkl_results', metavar='results', help='what tools/test.py --out wrote: .pkl, .pickle or .json')
    add_eval_options(parser)
    parser.add_argument('--data-root', metavar='DIR', help='folder to use wherever the config uses its data_root')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='change the config')
    add_import_option(parser)
    parser.set_defaults(options={})
    args = parser.parse_args(arguments)
    take_eval_options(parser, args)
    if not (args.eval or args.format_only):
        parser.error('say what to do with the detections: --eval bbox, or --format-only')
    return args


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    cfg = read_config(args)
    require(cfg, 'data.test')
    check_data_files(cfg, 'test')
    if args.json_file:
        prepare_file(args.json_file, '--eval-options jsonfile_prefix')
    dataset = build_dataset(cfg, 'test', test_mode=True)
    options = eval_arguments(args, cfg, dataset)
    report(args, options, read_results(args.pkl_results, dataset), dataset, get_logger('mmdet'))


if __name__ == '__main__':
    run(main)
