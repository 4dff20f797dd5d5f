"""Bring an SSD checkpoint to MMDetection 2.14's layout: python tools/model_converters/upgrade_ssd_version.py IN OUT

Older files load as they are. Others, such as MMDetection 3, want the new names.
"""
from __future__ import annotations

import os
import sys
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmdet.apis.converted_files import bytes_of, converter, read_source, write_target
from mmdet.apis.endings import run
from mmdet.apis.upgrading import upgraded


def main(arguments: Sequence[str]) -> None:
    args = converter("Bring a checkpoint of SSD to the layout since MMDetection 2.14", 'a checkpoint of the older layout',
                     'the file to write').parse_args(arguments)
    checkpoint = read_source(args)
    made = upgraded(checkpoint, args.in_file)
    dropped = sorted(set(checkpoint) - set(made) - {'ema_state_dict'}) if 'state_dict' in checkpoint else []
    left_out = f'; left out: {", ".join(map(str, dropped))}' if dropped else ''
    kept = ', optimizer' if 'optimizer' in made else ''
    write_target(args.out_file, bytes_of(made), f"{len(made['state_dict'])} weights{kept}{left_out}")


if __name__ == '__main__':
    run(main)
