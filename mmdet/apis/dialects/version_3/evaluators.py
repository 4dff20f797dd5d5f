"""`val_evaluator` and `test_evaluator` of MMDetection 3, as `evaluation` of MMDetection 2.

Here a dataset evaluates itself. Which metrics a test has is said on its command line.
"""
from __future__ import annotations

import os
from typing import Any, List

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of
from mmdet.apis.dialects.version_3.idle import leave_out, refusal

SAME = {'metric': 'metric', 'classwise': 'classwise', 'proposal_nums': 'proposal_nums', 'metric_items': 'metric_items'}
METRICS = {'CocoMetric': {**SAME, 'iou_thrs': 'iou_thrs'},
           'VOCMetric': {'metric': 'metric', 'proposal_nums': 'proposal_nums', 'iou_thrs': 'iou_thr'}}
# Where nothing is said, or what is done here in any case.
HARMLESS = {'format_only': False, 'collect_device': 'cpu', 'prefix': None, 'scale_ranges': None, 'sort_categories': False,
            'use_mp_eval': False, 'outfile_prefix': None}


def settle_evaluators(cfg: Config, idle: List[str]) -> None:
    """The evaluators as `evaluation`, in place; without `val_dataloader` there is none."""
    unused = lookup(cfg, 'data.val') is None
    tests = lookup(cfg, 'test_evaluator')
    if tests is not None and tests != lookup(cfg, 'val_evaluator') and _metric(tests) != _metric(lookup(cfg, 'val_evaluator')):
        leave_out(cfg, 'test_evaluator', idle)
    drop(cfg, 'test_evaluator')
    given = lookup(cfg, 'val_evaluator')
    key = 'val_evaluator'
    if isinstance(given, (list, tuple)):
        if len(given) != 1:
            raise refusal(cfg, key, f'expected one evaluator, not {len(given)}')
        key = 'val_evaluator.0'
    evaluator = section_of(cfg, key)
    if evaluator is None or unused:
        drop(cfg, 'val_evaluator')
        return
    kind = evaluator.get('type')
    if kind not in METRICS:
        raise refusal(cfg, f'{key}.type', f"expected {' or '.join(METRICS)}, not {kind!r}")
    _check_file(cfg, f'{key}.ann_file')
    for name in ('type', 'ann_file', 'backend_args', 'file_client_args'):
        drop(cfg, f'{key}.{name}')
    for old, new in METRICS[kind].items():
        move(cfg, f'{key}.{old}', f'evaluation.{new}')
    for name, value in list(evaluator.items()):
        if name not in HARMLESS or value != HARMLESS[name]:
            if name == 'eval_mode' and value == _mode_of_year(cfg):
                continue
            leave_out(cfg, f'{key}.{name}', idle)
    drop(cfg, 'val_evaluator')


def _metric(evaluator: Any) -> Any:
    return evaluator.get('metric') if isinstance(evaluator, dict) else evaluator


def _check_file(cfg: Config, key: str) -> None:
    """An evaluator may read another file than its dataset, which would be another evaluation."""
    file, own = lookup(cfg, key), lookup(cfg, 'data.val.ann_file')
    if file is not None and own is not None and os.path.normpath(file) != os.path.normpath(own):
        raise refusal(cfg, key, f"'{file}' is not what the dataset reads, '{own}' ({cfg.where('data.val.ann_file')}); a "
                                'dataset is evaluated by its own annotations')


def _mode_of_year(cfg: Config) -> str:
    """How VOC's precision is averaged here: by the year, which stands in the path."""
    return '11points' if 'VOC2007' in str(lookup(cfg, 'data.val.img_prefix')) else 'area'
