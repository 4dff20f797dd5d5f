"""Write a config of any MMDetection version in the form of 2.28, with all that it inherits in one file:

    python tools/model_converters/upgrade_config.py IN.py OUT.py
"""
from __future__ import annotations

import argparse
import os
import sys
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.serialization.atomic_files import write_atomically
from mmdet.apis.checks import KEYS, check_top_level
from mmdet.apis.dialects import canonical
from mmdet.apis.endings import run

OF_DATA = ('dataset_type', 'data_root')  # variables that command lines and people go by


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description='Write a config of any MMDetection version in the form of 2.28')
    parser.add_argument('config', metavar='IN', help='the config, .py, .json or .yaml')
    parser.add_argument('output', metavar='OUT', help='the file to write, .py')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT if there is one')
    args = parser.parse_args(arguments)
    if not args.output.endswith('.py'):
        raise ConfigError(f'{args.output}: expected a name that ends in .py')
    if os.path.exists(args.output) and not args.overwrite:
        raise ConfigError(f'{args.output}: exists already. Choose another name, or add --overwrite')
    cfg = Config.fromfile(args.config)
    check_top_level(cfg)
    canonical(cfg)
    for name in [name for name in cfg if name not in KEYS and name not in OF_DATA and name in cfg.used_names]:
        cfg.pop(name)  # a pipeline of the old spelling, from which the datasets' own were made
    write_atomically(args.output, cfg.dump().encode())


if __name__ == '__main__':
    run(main)
