"""Fuzz the reader of checkpoints: python tests/fuzz/checkpoint_reader.py -atheris_runs=20000

The first byte chooses what is mutated: a whole file, the pickle within a zip whose checksums fit, or a pickle of results. What
comes out is plain data and tensors that can be read to their last number.
"""
from __future__ import annotations

import io
import pickle
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from harness import check_message, fuzz, instrumented

with instrumented():
    import numpy as np
    import torch

    from mmcv_need.checkpoint import meta_of, read_checkpoint
    from mmcv_need.errors import CheckpointError, DataError
    from mmcv_need.place_in_run import place_of
    from mmcv_need.serialization.pickles import load_pickle
    from mmcv_need.serialization.safetensors_files import NotInstalled, dump_safetensors
    from mmcv_need.weights import state_dict_of

PLAIN = (bool, int, float, complex, str, bytes, bytearray, torch.dtype, np.generic)
FOLDER = tempfile.TemporaryDirectory()
VALUE = {'meta': {'epoch': 1, 'iter': 7}, 'state_dict': {'w': torch.arange(6.0).view(2, 3).t(), 'n': torch.tensor(3)},
         'optimizer': {'state': {0: {'step': 1}}, 'param_groups': [{'lr': 0.1, 'params': [0]}]}, 'score': np.float64(0.5)}


def zipped(pickled: bytes) -> bytes:
    """A checkpoint around a pickle, with storages of 24 and 8 bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        for name, part in (('data.pkl', pickled), ('version', b'3\n'), ('data/0', bytes(range(24))), ('data/1', bytes(8))):
            archive.writestr(f'archive/{name}', part)
    return file.getvalue()


def one_input(data: bytes) -> None:
    kind, content = data[:1], data[1:]
    path = Path(FOLDER.name, 'x.pth')
    path.write_bytes(zipped(content) if kind == b'z' else content)
    try:
        if kind == b'p':
            touch(load_pickle(str(path)), set())
            return
        read_checkpoint(str(path), tensors=False)
        found = read_checkpoint(str(path))
        touch(found, set())
        state_dict_of(found)
        place_of(meta_of(found), str(path))
    except (CheckpointError, DataError) as error:
        check_message(error)


def touch(value: object, seen: set) -> None:
    """Look at all of it: a tensor that reached beyond its storage would crash here."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        assert value.numel() <= 2**40
        if value.numel() < 10**6:
            value.clone()
    elif isinstance(value, np.ndarray):
        value.copy()
    elif isinstance(value, dict):
        for key, item in value.items():
            touch(key, seen)
            touch(item, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            touch(item, seen)
    else:
        assert value is None or isinstance(value, PLAIN), value


def seeds() -> list:
    files = []
    for new in (True, False):
        buffer = io.BytesIO()
        torch.save(VALUE, buffer, _use_new_zipfile_serialization=new)
        files.append(b'f' + buffer.getvalue())
        if new:
            with zipfile.ZipFile(buffer) as archive:
                files.append(b'z' + archive.read('archive/data.pkl'))
    with suppress(NotInstalled):  # the package is optional
        meta = {'CLASSES': ('a', 'b'), 'epoch': 3, 'config': 'model = dict()'}
        files.append(b'f' + dump_safetensors({'meta': meta}, {'w': torch.arange(6.0).view(2, 3), 'n': torch.tensor(3)}))
    results = [[np.arange(10, dtype=np.float32).reshape(2, 5), np.zeros((0, 5), np.float32)],
               (np.float32(1), 'a', b'c', {'d': 2})]
    return files + [b'p' + pickle.dumps(results, protocol) for protocol in (0, 2, 4, 5)]


if __name__ == '__main__':
    fuzz(one_input, seeds())
