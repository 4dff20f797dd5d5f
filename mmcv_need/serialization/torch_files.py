"""What torch.save writes, read as data: nothing that a file names is looked up, so nothing of it can run.

torch.load is not asked. It compares no checksums; before torch 1.13 it runs whatever a file says; and its `weights_only`, which
later ones have, had holes up to 2.5 (CVE-2025-32434) and 2.9 (CVE-2026-24747), versions that accelerators are bound to. Here
files of every version are read in one way, by every version:

    zip      from torch 1.6 on: NAME/data.pkl is a pickle, NAME/data/KEY are the bytes of a storage; with checksums
    stream   before: five pickles (magic number, version, system, content, keys); then of each storage its length and its bytes
"""
from __future__ import annotations

import io
import zipfile
from typing import Any, BinaryIO, Callable, Dict

import numpy as np
import torch

from mmcv_need.serialization.pickle_shapes import Refused, look_over
from mmcv_need.serialization.pickles import PlainUnpickler
from mmcv_need.serialization.plain_data import Plain
from mmcv_need.serialization.stand_ins import Storage, stand_in

MAGIC, VERSION = 0x1950a86a20f9469cfc6c, 1001  # with which a stream begins
Source = Callable[[str, int], np.ndarray]  # from a storage's key and length in bytes to these


class Damaged(ValueError):
    """A part of a file that is not what it was when it was written."""


def load_torch_file(file: BinaryIO, tensors: bool = True) -> Any:
    """The content of a file that torch.save wrote: plain data, and tensors on the CPU.

    Args:
        file: open for reading, anywhere in it.
        tensors: whether to read them. Without, None stands for each, and of a zip only the plain data are read, and compared
            with their checksum.

    Raises:
        Refused: it names, or holds, anything else; nothing of it was run.
        Damaged: its checksums do not fit.
        Exception: it is no such file; what is wrong with bytes may show as anything.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    zipped = file.read(4) == b'PK\x03\x04'
    file.seek(0)
    return Plain(tensors).of(_load_zip(file, size, tensors) if zipped else _load_stream(file, size))


def _load_zip(file: BinaryIO, size: int, tensors: bool) -> Any:
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > size:
            raise Refused('compressed parts, which torch never writes')
        data = {part.filename: _read_part(archive, part) for part in parts if tensors or '/data/' not in part.filename}
    root = next((name[:-len('data.pkl')] for name in data if name.endswith('data.pkl')), None)
    if root is None:
        raise ValueError('a zip of something else')
    if data.get(f'{root}byteorder', np.empty(0)).tobytes() == b'big':
        raise Refused('numbers of a big-endian machine')

    def storage(key: str, length: int) -> np.ndarray:
        return data[f'{root}data/{key}'] if tensors else np.broadcast_to(np.uint8(0), length)  # of no size in memory
    return _unpickle(io.BytesIO(data[f'{root}data.pkl'].tobytes()), size, storage)


def _read_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> np.ndarray:
    """The bytes of a part, whose checksum is compared meanwhile."""
    try:
        with archive.open(part) as stream:
            raw = np.empty(part.file_size, np.uint8)
            _fill(stream, raw)
            return raw
    except zipfile.BadZipFile as error:
        raise Damaged(f"its part '{part.filename}' does not match its checksum") from error


def _load_stream(file: BinaryIO, size: int) -> Any:
    storages: Dict[str, np.ndarray] = {}

    def storage(key: str, length: int) -> np.ndarray:
        if key not in storages:
            if not 0 <= length <= size - sum(map(len, storages.values())):
                raise ValueError('a storage that is larger than the file')
            storages[key] = np.empty(length, np.uint8)
        return storages[key]

    if (_unpickle(file, size, storage), _unpickle(file, size, storage)) != (MAGIC, VERSION):
        raise ValueError('not a file of torch.save')
    _unpickle(file, size, storage)
    content = _unpickle(file, size, storage)
    keys = _unpickle(file, size, storage)
    if sorted(keys) != sorted(storages):
        raise ValueError('its storages are not those that it names')
    for key in keys:
        file.read(8)  # its length in numbers, which the content has told
        _fill(file, storages[key])
    return content


def _fill(stream: Any, raw: np.ndarray) -> None:
    into = memoryview(raw)
    while len(into):
        done = stream.readinto(into[:1 << 20])
        if not done:
            raise ValueError('it ends early')
        into = into[done:]


class _Unpickler(PlainUnpickler):
    """Knows the names of stand_ins.py."""

    def __init__(self, file: Any, storage: Source):
        super().__init__(file, encoding='utf-8')
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        return stand_in(module, name)

    def persistent_load(self, said: Any) -> Storage:
        """A storage: ('storage', type, key, device, how many numbers, and nothing or None)."""
        if not isinstance(said, tuple) or said[0] != 'storage' or any(said[5:]):
            raise Refused(f'a {said[0]}' if isinstance(said, tuple) else 'a reference')
        _, dtype, key, _, count = said[:5]
        if not (isinstance(dtype, torch.dtype) and type(key) is str and type(count) is int):
            raise Refused('a storage of something else')
        length = count * torch.empty((), dtype=dtype).element_size()
        raw = self._storage(key, length)
        if len(raw) != length:
            raise ValueError(f'a storage of {length} bytes that has {len(raw)}')
        return Storage(raw, dtype)


def _unpickle(file: Any, size: int, storage: Source) -> Any:
    """The next pickle of a file of `size` bytes, which is looked over first."""
    look_over(file, size)
    return _Unpickler(file, storage).load()
