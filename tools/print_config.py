"""Print a config with all that it inherits: python tools/print_config.py configs/ssd300_coco.py"""
from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need.config import Config, DictAction
from mmcv_need.errors import ConfigError


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description='Print a config with all that it inherits')
    parser.add_argument('config')
    parser.add_argument('--key', help='print the value of this dotted key only, such as data.samples_per_gpu')
    parser.add_argument('--where', action='store_true', help='with --key: print the file and line of the value as well')
    parser.add_argument('--cfg-options', '--options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE')
    args = parser.parse_args(arguments)
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    if args.key is None:
        print(f'Config:\n{cfg.pretty_text}')
        return
    value: Any = cfg
    for part in args.key.split('.'):
        try:
            value = value[int(part)] if isinstance(value, (list, tuple)) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ConfigError(f"{args.config}: has no '{args.key}' (no '{part}')") from None
    print(f'{value}  # {cfg.where(args.key)}' if args.where else value)


if __name__ == '__main__':
    from mmdet.apis.endings import run
    run(main)
