"""Checkpoints: written whole or not at all, found again, and loaded as data (never as code).

A file holds plain data and tensors: dict(meta, state_dict, optimizer, rng, loss_scaler). Its names are MMCV's: `epoch_N.pth` or
`iter_N.pth` in the work directory, with a relative symlink `latest.pth` and a text file `last_checkpoint` beside them.
"""
from __future__ import annotations

import io
import os
import re
import shutil
import warnings
import zipfile
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

import torch
from torch import Tensor, nn

from mmcv_need.errors import CheckpointError

NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


def write_atomically(path: str, data: bytes) -> None:
    """Write a file so that, whenever the process dies, `path` is either its old self or the whole of `data`."""
    temporary = f'{path}.tmp.{os.getpid()}'
    try:
        with open(temporary, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        free = shutil.disk_usage(os.path.dirname(path) or '.').free
        raise CheckpointError(f'{path}: cannot be written ({error.strerror}); {free / 2**20:.0f} MB are free there. '
                              f'Older checkpoints are intact') from error
    _sync_folder(os.path.dirname(path) or '.')


def _sync_folder(folder: str) -> None:
    """Make a rename in `folder` survive a power cut."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_checkpoint(checkpoint: Mapping[str, Any], path: str) -> None:
    """Write a checkpoint atomically, then point `latest.pth` and `last_checkpoint` at it."""
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    write_atomically(path, buffer.getvalue())
    folder, name = os.path.split(path)
    _point_latest(folder, name)
    write_atomically(os.path.join(folder, 'last_checkpoint'), name.encode())


def _point_latest(folder: str, name: str) -> None:
    latest, temporary = os.path.join(folder, 'latest.pth'), os.path.join(folder, f'latest.pth.tmp.{os.getpid()}')
    if os.path.lexists(temporary):
        os.unlink(temporary)
    try:
        os.symlink(name, temporary)
    except OSError:  # a file system without links
        shutil.copyfile(os.path.join(folder, name), temporary)
    os.replace(temporary, latest)


def read_checkpoint(path: str) -> Dict[str, Any]:
    """Load a checkpoint onto the CPU, as data only.

    Raises:
        CheckpointError: no such file, damaged (its checksums do not fit), not a checkpoint, or not plain data.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f'{path}: no such checkpoint file')
    try:
        if zipfile.is_zipfile(path):  # torch.load itself does not compare the checksums
            with zipfile.ZipFile(path) as archive:
                broken = archive.testzip()
            if broken is not None:
                raise CheckpointError(f"{path}: damaged: its part '{broken}' does not match its checksum. "
                                      f'Use an older checkpoint')
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # what is wrong with bytes may show as anything
        reason = str(error).strip().split('\n')[0][:200]
        raise CheckpointError(f'{path}: not a checkpoint that can be read ({type(error).__name__}: {reason})') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path}: holds a {type(checkpoint).__name__}; expected a dict of tensors, or '
                              f'dict(state_dict=...)')
    return checkpoint


def state_dict_of(checkpoint: Mapping[str, Any]) -> Dict[str, Tensor]:
    """The weights of a checkpoint, or of a bare state dict, without the prefix that wrappers add."""
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, dict):
        raise CheckpointError(f"'state_dict' of the checkpoint is a {type(state).__name__}; expected a dict of tensors")
    return {re.sub(r'^module\.', '', key): value for key, value in state.items() if isinstance(value, Tensor)}


class Mismatch(NamedTuple):
    """Keys of a state dict that did not fit a model."""
    missing: List[str]
    unexpected: List[str]
    misshaped: List[str]

    def __str__(self) -> str:
        rows = [f'{title}: {", ".join(keys[:8])}{f", ... ({len(keys)} in all)" if len(keys) > 8 else ""}'
                for title, keys in (('not in the checkpoint', self.missing), ('not in the model', self.unexpected),
                                    ('of another shape', self.misshaped)) if keys]
        return '; '.join(rows)


def current_keys(model: nn.Module, state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """A state dict under the names that a model has today, in the file's order.

    A model that knows older names of its weights has a function `current_key(key) -> key`.
    """
    own, rename = model.state_dict(), getattr(model, 'current_key', lambda key: key)
    return {key if key in own else rename(key): value for key, value in state.items()}


def load_weights(model: nn.Module, state: Mapping[str, Tensor], source: str, strict: bool = False) -> Mismatch:
    """Copy the weights that fit into a model.

    Args:
        model: receives the weights.
        state: keys and tensors, on any device.
        source: the file, for errors.
        strict: whether every key must fit both ways.

    Raises:
        CheckpointError: nothing fits; or, if strict, anything does not.
    """
    own, state = model.state_dict(), current_keys(model, state)
    misshaped = [f'{key} {tuple(value.shape)} in the file, {tuple(own[key].shape)} in the model'
                 for key, value in state.items() if key in own and own[key].shape != value.shape]
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    mismatch = Mismatch(missing=[key for key in own if key not in state and not key.endswith('num_batches_tracked')],
                        unexpected=[key for key in state if key not in own], misshaped=misshaped)
    if not fitting:
        raise CheckpointError(f'{source}: none of its {len(state)} tensors fits this model; {mismatch}')
    if strict and any(mismatch):
        raise CheckpointError(f'{source}: made for another model; {mismatch}')
    model.load_state_dict(fitting, strict=False)
    return mismatch


def find_latest(work_dir: str) -> Optional[str]:
    """The newest readable checkpoint of a work directory by iteration, or None."""
    found: Dict[str, List[int]] = {'epoch': [], 'iter': []}
    for name in os.listdir(work_dir) if os.path.isdir(work_dir) else []:
        match = NAME.fullmatch(name)
        if match:
            found[match.group(1)].append(int(match.group(2)))
    best, best_iter = None, -1
    for unit, numbers in found.items():
        for number in sorted(numbers, reverse=True):
            path = os.path.join(work_dir, f'{unit}_{number}.pth')
            try:
                iteration = int(read_checkpoint(path)['meta']['iter'])
            except (CheckpointError, KeyError, TypeError, ValueError) as error:
                reason = str(error) if isinstance(error, CheckpointError) else f'{path}: does not say where it was written'
                warnings.warn(f'passed over: {reason}', stacklevel=2)
                continue
            if iteration > best_iter:
                best, best_iter = path, iteration
            break
    return best
