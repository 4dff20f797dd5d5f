"""Check configs against the code, without data, and say what training with them would be:

    python tools/check_config.py configs/ssd300_coco.py [MORE ...]
"""
from __future__ import annotations

import argparse
import copy
import os
import sys
import warnings
from typing import List, NamedTuple, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need.config import Config, DictAction
from mmcv_need.errors import ConfigError, UserError
from mmdet.apis.auto_scale_lr import cards_of_recipe, enable_auto_scale_lr, rate_doubts, samples_each, scaled_lr
from mmdet.apis.checks import TRAINED_WITH, has_sections, require, top_level_faults
from mmdet.apis.config_check import Findings, look_over
from mmdet.apis.custom_imports import add_import_option, import_custom_modules
from mmdet.apis.data_root import check_data_files, move_data
from mmdet.apis.datasets import build_dataset
from mmdet.apis.dialects import canonical
from mmdet.apis.doubts import doubts_of_length
from mmdet.apis.endings import run
from mmdet.apis.preview import count, preview


class Report(NamedTuple):
    """What is to be said of a config: errors, warnings, and, if there are no errors, what a run would be."""
    errors: List[str]
    warnings: List[str]
    lines: List[str]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Check configs against the code, and preview training with them')
    parser.add_argument('configs', nargs='+', metavar='config', help='such as configs/ssd300_coco.py')
    parser.add_argument('--cfg-options', '--options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='change the configs, e.g. data.samples_per_gpu=4')
    parser.add_argument('--data-root', metavar='DIR', help='folder to use wherever a config uses its data_root')
    parser.add_argument('--gpus', type=int, help='number of cards; by default as many as the learning rate is for, up to 8')
    parser.add_argument('--auto-scale-lr', action='store_true', help='as for tools/train.py')
    parser.add_argument('--count', action='store_true', help='read the annotation file of data.train, to count its pictures')
    add_import_option(parser)
    args = parser.parse_args(arguments)
    if args.gpus is not None and args.gpus < 1:
        raise ConfigError(f'--gpus {args.gpus}: expected a number of cards, 1 or more')
    return args


def check(path: str, args: argparse.Namespace) -> Report:
    """All that can be said of a config."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        report = _check(path, args)
    return report._replace(warnings=list(dict.fromkeys([*(str(warning.message) for warning in said), *report.warnings])))


def _check(path: str, args: argparse.Namespace) -> Report:
    errors: List[UserError] = []
    try:
        cfg = Config.fromfile(path)
        move_data(cfg, args.data_root)
        cfg.merge_from_dict(copy.deepcopy(args.cfg_options))
        errors += top_level_faults(cfg)
        if not has_sections(cfg):
            return Report(list(map(str, errors)), [], [])
        import_custom_modules(cfg, args.allow_custom_imports)
        canonical(cfg)
        require(cfg, *TRAINED_WITH)
        found = look_over(cfg, 'train', *(section for section in ('val', 'test') if cfg.data.get(section) is not None))
        errors += found.faults
        if not errors:
            return _preview(path, args, cfg, found)
    except UserError as error:
        errors.append(error)
    return Report(list(dict.fromkeys(map(str, errors))), [], [])


def _preview(path: str, args: argparse.Namespace, cfg: Config, found: Findings) -> Report:
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    cards = args.gpus or cards_of_recipe(cfg)
    scaled = scaled_lr(cfg, cards)
    doubts, counts = [*found.doubts, *rate_doubts(cfg, cards)], None
    if args.count:
        check_data_files(cfg, 'train')
        counts = count(build_dataset(cfg, 'train'), samples_each(cfg), cards)
        doubts += doubts_of_length(cfg, counts.steps)
    name = os.path.splitext(os.path.basename(path))[0]
    cfg['work_dir'] = cfg.get('work_dir') or os.path.join('work_dirs', name)
    lines = [scaled] if scaled else []
    lines += [f"{'cards':<12} {cards}, for which the rate fits best; --gpus N for another number"] if args.gpus is None else []
    return Report([], doubts, [*lines, *preview(cfg, cards, found, counts)])


def main(arguments: Sequence[str]) -> int:
    args, failed = parse(arguments), False
    for path in args.configs:
        report = check(path, args)
        failed |= bool(report.errors)
        print(f"{path}: {_number(report.errors, 'error')}, {_number(report.warnings, 'warning')}", flush=True)
        for kind, lines in (('error', report.errors), ('warning', report.warnings)):
            for line in lines:
                print(f'{kind}: {line}', file=sys.stderr, flush=True)
        for line in report.lines:
            print(f'  {line}', flush=True)
    return 2 if failed else 0


def _number(lines: Sequence[str], what: str) -> str:
    return f"{len(lines) or 'no'} {what}{'s' * (len(lines) != 1)}"


if __name__ == '__main__':
    run(main)
