"""Evaluate a detector: python tools/test.py configs/ssd300_coco.py work_dirs/ssd300_coco/latest.pth --eval bbox"""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Dict, List, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need.checkpoint import load_weights, read_checkpoint, state_dict_of
from mmcv_need.config import Config, DictAction
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.errors import UserError
from mmcv_need.logger import get_logger
from mmcv_need.registry import build
from mmdet.apis import test_detector
from mmdet.apis.command_line import add_common_options, read_config, run, start_device
from mmdet.apis.data_root import check_annotation_files
from mmdet.apis.settings import DataSettings, require
from mmdet.apis.test import finish_batch
from mmdet.apis.train import build_dataset, check_classes
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets import eval_loader
from mmdet.models import DETECTORS


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a detector')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('checkpoint', help='weights to evaluate')
    parser.add_argument('--eval', nargs='+', metavar='METRIC', help='bbox')
    parser.add_argument('--out', metavar='FILE.json', help='write the detections as COCO results')
    parser.add_argument('--work-dir', help='write eval_<time>.json with config and metrics here')
    parser.add_argument('--eval-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='such as classwise=True')
    add_common_options(parser)
    args = parser.parse_args(arguments)
    if not (args.eval or args.out):
        parser.error('say what to do with the detections: --eval bbox, or --out FILE.json')
    if args.out and not args.out.endswith('.json'):
        parser.error(f'--out {args.out}: expected a name that ends in .json')
    return args


def load_detector(cfg: Config, checkpoint: str) -> Any:
    """The detector of a config with a checkpoint's weights, all of which must fit."""
    cfg.model.backbone['init_cfg'] = None  # the checkpoint has all weights
    state = state_dict_of(read_checkpoint(checkpoint))
    model = build(cfg, DETECTORS, key='model')
    load_weights(model, state, checkpoint, strict=True)
    return model


def coco_results(results: Sequence[Detections], dataset: Any) -> List[Dict[str, Any]]:
    """Detections as records of a COCO result file."""
    return [{'image_id': int(image_id), 'category_id': int(dataset.cat_ids[label]), 'score': float(score),
             'bbox': [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]}
            for image_id, found in zip(dataset.annotations.ids, results)
            for (x1, y1, x2, y2), score, label in zip(found.bboxes, found.scores, found.labels)]


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    cfg = read_config(args)
    require(cfg, 'model', 'data')
    if cfg.data.get('test') is None:
        raise UserError(f"{args.config}: has no data.test to evaluate on")
    check_annotation_files(cfg, 'test')
    device = start_device(args, cfg)
    model = load_detector(cfg, args.checkpoint)
    dataset = build_dataset(cfg, 'test', test_mode=True)
    check_classes(model, dataset, cfg)
    rank, world_size = get_dist_info()
    logger = get_logger('mmdet', rank=rank)
    loader = eval_loader(dataset, *build(cfg, DataSettings, key='data').for_section('test'), rank, world_size)
    results = test_detector(MMDataParallel(model, device, finish_batch), loader)
    if rank != 0:
        return
    if args.out:
        with open(args.out, 'w', encoding='utf-8') as file:
            json.dump(coco_results(results, dataset), file)
        logger.info('wrote the detections to %s', args.out)
    if args.eval:
        metric = dataset.evaluate(results, metric=args.eval, logger=logger, **args.eval_options)
        print(metric)
        if args.work_dir:
            os.makedirs(args.work_dir, exist_ok=True)
            name = time.strftime('eval_%Y%m%d_%H%M%S.json')
            with open(os.path.join(args.work_dir, name), 'w', encoding='utf-8') as file:
                json.dump({'config': args.config, 'metric': metric}, file)


if __name__ == '__main__':
    run(main)
