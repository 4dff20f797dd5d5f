"""Weights in safetensors' format: tensors, and a few texts about them.

Its package is optional; it checks that no tensor reaches beyond its bytes or into another's. What we say of the weights stands
in the file's metadata, which holds texts only:

    format     'pt', as other programs expect of files for torch
    classes    names of the labels, as a list in JSON
    config     text, never evaluated
    epoch, iter
"""
from __future__ import annotations

import json
from typing import Any, BinaryIO, Dict, Mapping

import numpy as np
import torch
from torch import Tensor

from mmcv_need.serialization.pickle_shapes import Refused
from mmcv_need.serialization.plain_data import INTEGERS

DTYPES = {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16, 'I64': torch.int64,
          'I32': torch.int32, 'I16': torch.int16, 'I8': torch.int8, 'U8': torch.uint8, 'BOOL': torch.bool}
INSTALL = 'pip install safetensors'
COUNTS = ('epoch', 'iter')
TOLD = ('CLASSES', 'config', *COUNTS)  # of a checkpoint's meta
LENGTH = 8  # bytes with which a file begins: how long its header is


class NotInstalled(Exception):
    """The package is not here."""


def is_safetensors(file: BinaryIO) -> bool:
    """Whether a file begins as one of these. It is at its begin afterwards."""
    head = file.read(LENGTH + 1)
    file.seek(0)
    return len(head) > LENGTH and head[LENGTH:] == b'{' and int.from_bytes(head[:LENGTH], 'little') < 2 ** 32


def load_safetensors(file: BinaryIO, tensors: bool = True) -> Dict[str, Any]:
    """A checkpoint dict(meta, state_dict) of a file.

    Args:
        file: open for reading, at its begin.
        tensors: whether to read them; None stands for each otherwise.

    Raises:
        NotInstalled: without the package.
        Refused: it holds numbers of a kind that is not read here, or texts that are not what they should be.
        Exception: it is no such file, or damaged.
    """
    raw = file.read()
    state = {name: _tensor(name, said) if tensors else None for name, said in _package().deserialize(raw)}
    header = json.loads(raw[LENGTH:LENGTH + int.from_bytes(raw[:LENGTH], 'little')])
    return {'meta': _meta(header.get('__metadata__') or {}), 'state_dict': state}


def dump_safetensors(checkpoint: Mapping[str, Any], state: Mapping[str, Tensor]) -> bytes:
    """A file of some weights, and of what their checkpoint says of them.

    Args:
        checkpoint: has a `meta`.
        state: the weights.

    Raises:
        NotInstalled: without the package.
    """
    _package()
    from safetensors import torch as writer
    meta = checkpoint.get('meta') or {}
    texts = {'format': 'pt', **{name: str(meta[name]) for name in COUNTS if isinstance(meta.get(name), int)}}
    if meta.get('CLASSES'):
        classes = meta['CLASSES']
        texts['classes'] = json.dumps([classes] if isinstance(classes, str) else list(classes), ensure_ascii=False)
    config = meta.get('config', meta.get('cfg'))
    if isinstance(config, str):
        texts['config'] = config
    return writer.save({key: value.detach().contiguous().clone() for key, value in state.items()}, texts)


def _package() -> Any:
    try:
        import safetensors
    except ImportError:
        raise NotInstalled(f'safetensors files need their package. Run: {INSTALL}') from None
    return safetensors


def _tensor(name: str, said: Mapping[str, Any]) -> Tensor:
    if said['dtype'] not in DTYPES:
        raise Refused(f"numbers of type {said['dtype']} in '{name}'")
    dtype = DTYPES[said['dtype']]
    numbers = np.frombuffer(bytearray(said['data']), INTEGERS[torch.empty((), dtype=dtype).element_size()])
    return torch.from_numpy(numbers).view(dtype).reshape(said['shape'])


def _meta(texts: Mapping[str, str]) -> Dict[str, Any]:
    """What a file says of itself, at the names that MMCV's checkpoints use."""
    meta: Dict[str, Any] = {name: int(texts[name]) for name in COUNTS if texts.get(name, '').isdigit()}
    if 'config' in texts:
        meta['config'] = texts['config']
    if 'classes' in texts:
        classes = json.loads(texts['classes'])
        if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
            raise Refused('names of classes that are no list of texts')
        meta['CLASSES'] = tuple(classes)
    return meta
