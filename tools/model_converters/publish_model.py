"""Make a checkpoint ready for others: python tools/model_converters/publish_model.py IN OUT

What is left are the weights that are evaluated, names of the classes, and the config without the paths of this machine. OUT
gets the first 8 digits of the file's sha256: `ssd300.pth` becomes `ssd300-d231a06e.pth`, which downloads are compared with.
"""
from __future__ import annotations

import hashlib
import os
import sys
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.pretrained import local_file
from mmdet.apis.converted_files import bytes_of, check_target, converter, write_target
from mmdet.apis.endings import run
from mmdet.apis.publishing import published


def main(arguments: Sequence[str]) -> None:
    args = converter('Make a checkpoint ready for others', 'a checkpoint',
                     'the name to make that of the file from').parse_args(arguments)
    checkpoint = read_checkpoint(local_file(args.in_file))
    made = published(checkpoint, args.in_file)
    data = bytes_of(made)
    stem, ending = os.path.splitext(args.out_file)
    path = f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}{ending or '.pth'}"
    check_target(path, args.overwrite)
    left_out = sorted(map(str, set(checkpoint) - set(made))) if 'state_dict' in checkpoint else []
    left_out += sorted(f'meta.{name}' for name in set(checkpoint.get('meta') or {}) - set(made['meta']))
    write_target(path, data, f"{len(made['state_dict'])} weights; left out: {', '.join(left_out) or 'nothing'}")


if __name__ == '__main__':
    run(main)
