"""Weights of a checkpoint as a safetensors file, or back: python tools/model_converters/to_safetensors.py IN OUT

The direction follows from the name of OUT. Names of the classes, config, epoch and iter go along; an optimizer does not.
"""
from __future__ import annotations

import os
import sys
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.errors import CheckpointError, UserError
from mmcv_need.serialization.safetensors_files import TOLD, NotInstalled, dump_safetensors
from mmdet.apis.converted_files import bytes_of, converter, read_source, write_target
from mmdet.apis.endings import run
from mmdet.apis.publishing import published

ENDINGS = ('.safetensors', '.pth', '.pt')


def main(arguments: Sequence[str]) -> None:
    args = converter('Weights as a safetensors file, or back', 'a checkpoint, or a safetensors file',
                     f"the file to write; its name ends in {', '.join(ENDINGS)}").parse_args(arguments)
    if not args.out_file.endswith(ENDINGS):
        raise UserError(f"{args.out_file}: expected a name that ends in {', '.join(ENDINGS)}")
    checkpoint = read_source(args)
    made = published(checkpoint, args.in_file)
    try:
        data = dump_safetensors(made, made['state_dict']) if args.out_file.endswith(ENDINGS[0]) else bytes_of(made)
    except NotInstalled as error:
        raise CheckpointError(f'{args.out_file}: {error}') from None
    dropped = sorted(map(str, set(checkpoint) - set(made))) if 'state_dict' in checkpoint else []
    kept = set(TOLD) & set(made['meta']) if args.out_file.endswith(ENDINGS[0]) else set(made['meta'])
    dropped += sorted(f'meta.{name}' for name in set(checkpoint.get('meta') or {}) - kept)
    left_out = f'; left out: {", ".join(dropped)}' if dropped else ''
    write_target(args.out_file, data, f"{len(made['state_dict'])} weights{left_out}")


if __name__ == '__main__':
    run(main)
