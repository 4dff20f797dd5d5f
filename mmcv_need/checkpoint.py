"""Checkpoints: written whole or not at all, found again, and loaded as data (never as code).

A file holds plain data and tensors: dict(meta, state_dict, optimizer, ...), see run_state.py. Names are MMCV's: `epoch_N.pth`
or `iter_N.pth` in the work directory, with a relative symlink `latest.pth` and a text file `last_checkpoint` beside them.
"""
from __future__ import annotations

import io
import os
import re
import warnings
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import torch

from mmcv_need.errors import CheckpointError
from mmcv_need.failures import PeerError
from mmcv_need.finiteness import first_not_finite_of
from mmcv_need.place_in_run import place_of
from mmcv_need.serialization.atomic_files import link_atomically, write_atomically
from mmcv_need.serialization.pickle_shapes import Refused
from mmcv_need.serialization.safetensors_files import NotInstalled, is_safetensors, load_safetensors
from mmcv_need.serialization.torch_files import Damaged, load_torch_file

NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


class Loaded(NamedTuple):
    """A checkpoint that has been read, so that nobody reads it again."""
    path: str
    content: Dict[str, Any]


class UnsavedError(PeerError):
    """Rank 0 could not write a checkpoint, and says why; all ranks hear of it together."""


UNSAVED = (CheckpointError, UnsavedError)  # on rank 0, and on the others


def save_checkpoint(checkpoint: Mapping[str, Any], path: str, latest: bool = True) -> None:
    """Write a checkpoint atomically.

    Args:
        checkpoint: plain data and tensors.
        path: where to; its folder is made where it is missing.
        latest: whether to point `latest.pth` and `last_checkpoint` at it.

    Raises:
        CheckpointError: it cannot be written.
    """
    folder, name = os.path.split(path)
    try:
        os.makedirs(folder or '.', exist_ok=True)
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be written: its folder cannot be made ({error.strerror}). Older checkpoints are '
                              f'intact') from error
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    write_atomically(path, buffer.getvalue())
    if latest:
        link_atomically(os.path.join(folder, 'latest.pth'), name)
        write_atomically(os.path.join(folder, 'last_checkpoint'), name.encode())


def failed_save(checkpoint: Mapping[str, Any], path: str, latest: bool = True) -> Optional[CheckpointError]:
    """`save_checkpoint`, and why it failed; None if it did not."""
    try:
        save_checkpoint(checkpoint, path, latest)
    except CheckpointError as error:
        return error
    return None


def read_checkpoint(path: str, tensors: bool = True) -> Dict[str, Any]:
    """Load a checkpoint of ours, of MMCV or of MMEngine, or weights in safetensors' format, onto the CPU, as data only.

    What MMEngine stores as objects of its own comes as dicts, lists, numbers and tensors; the names of its labels stand where
    MMCV's do, at meta['CLASSES'].

    Args:
        path: of the file.
        tensors: whether to read them; what a large file says of itself is quickly read without, None standing for each.

    Raises:
        CheckpointError: no such file, damaged (its checksums do not fit), not a checkpoint, or not plain data; or it is a
            safetensors file and their package is not installed.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f'{path}: no such checkpoint file')
    try:
        with open(path, 'rb') as file:
            checkpoint = load_safetensors(file, tensors) if is_safetensors(file) else load_torch_file(file, tensors)
    except NotInstalled as error:
        raise CheckpointError(f'{path}: {error}') from None
    except Damaged as error:
        raise CheckpointError(f'{path}: damaged: {error}. Use an older checkpoint') from error
    except Refused as error:
        raise CheckpointError(f'{path}: holds {str(error)[:200]}; expected nothing but tensors and plain data. Nothing of the '
                              f'file was run') from None
    except Exception as error:  # what is wrong with bytes may show as anything
        reason = f'{type(error).__name__}: {str(error)[:200]}'
        raise CheckpointError(f'{path}: not a checkpoint that can be read ({reason})') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path}: holds a {type(checkpoint).__name__}; expected a dict of tensors, or '
                              f'dict(state_dict=...)')
    described = meta_of(checkpoint).get('dataset_meta')
    if isinstance(described, dict):
        checkpoint['meta'].setdefault('CLASSES', described.get('classes', described.get('CLASSES')))
    return checkpoint


def read(path: str) -> Loaded:
    """`read_checkpoint`, with the path."""
    return Loaded(path, read_checkpoint(path))


def meta_of(checkpoint: Mapping[str, Any]) -> Dict[str, Any]:
    """What a checkpoint says of itself; nothing if it says nothing."""
    meta = checkpoint.get('meta')
    return meta if isinstance(meta, dict) else {}


def find_latest(folder: str) -> Optional[Loaded]:
    """The checkpoint of a folder that was written latest in its run, of those that training can go on from; None without any.

    A warning names those that are passed over.
    """
    return next(latest_first([folder]), None)


def latest_first(folders: Iterable[str]) -> Iterator[Loaded]:
    """The checkpoints of some folders that training can go on from, from the latest in their run on; each is read as it comes.

    What each says of itself counts, not its name: iterations may have been counted anew in between. A warning names those
    that are passed over: damaged, without training state, or not finite.
    """
    found: List[Tuple[Tuple[int, ...], str]] = []
    for folder in folders:
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if NAME.fullmatch(name):
                path = os.path.join(folder, name)
                try:
                    place = place_of(meta_of(read_checkpoint(path, tensors=False)), path)
                    found.append(((*place.done, name.startswith('epoch'), place.iter), path))
                except CheckpointError as error:
                    warnings.warn(f'passed over: {error}', stacklevel=3)
    for _, path in sorted(found, reverse=True):
        try:
            loaded = read(path)
        except CheckpointError as error:
            warnings.warn(f'passed over: {error}', stacklevel=3)
            continue
        bad = first_not_finite_of(loaded.content)
        if bad or 'optimizer' not in loaded.content:
            reason = f'{bad} is not finite' if bad else 'holds no training state to resume from'
            warnings.warn(f'passed over: {path}: {reason}', stacklevel=3)
        else:
            yield loaded
