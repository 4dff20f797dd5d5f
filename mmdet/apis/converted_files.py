"""What the command lines of tools/model_converters share: where they read, and that they write nothing over anything."""
from __future__ import annotations

import argparse
import io
import os
from typing import Any, Dict, Mapping, Optional

import torch

from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.errors import UserError
from mmcv_need.pretrained import local_file
from mmcv_need.serialization.atomic_files import write_atomically


def converter(description: str, source: str, target: str) -> argparse.ArgumentParser:
    """The parser of a command line `TOOL IN OUT [--overwrite]`.

    Args:
        description: of the tool.
        source, target: what IN and OUT are.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('in_file', metavar='IN', help=f'{source}: a path, an address, or a name such as torchvision://vgg16')
    parser.add_argument('out_file', metavar='OUT', help=target)
    parser.add_argument('--overwrite', action='store_true', help='write over a file that is there')
    return parser


def read_source(args: argparse.Namespace) -> Dict[str, Any]:
    """The checkpoint that a command line names. Whether its result may be written is asked first."""
    check_target(args.out_file, args.overwrite)
    return read_checkpoint(local_file(args.in_file))


def check_target(path: str, overwrite: bool) -> None:
    """Raises:
        UserError: a file is there already, or a folder.
    """
    if os.path.isdir(path):
        raise UserError(f'{path}: is a folder; give the name of a file')
    if os.path.lexists(path) and not overwrite:
        raise UserError(f'{path}: is there already, and stays as it is. Give another name, or --overwrite')


def bytes_of(checkpoint: Mapping[str, Any]) -> bytes:
    """A checkpoint as torch.save writes it."""
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    return buffer.getvalue()


def write_target(path: str, data: bytes, said: Optional[str] = None) -> None:
    """Write a file atomically, and say so on stdout.

    Args:
        path: where to; its folder is made where it is missing.
        data: all of it.
        said: what it holds.

    Raises:
        UserError: it cannot be written.
    """
    try:
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    except OSError as error:
        raise UserError(f'{path}: its folder cannot be made ({error.strerror})') from error
    write_atomically(path, data)
    print(f'wrote {path} ({len(data) / 1e6:.1f} MB){f": {said}" if said else ""}')
