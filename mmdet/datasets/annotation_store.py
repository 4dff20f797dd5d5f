"""The table of an annotation file in a file of its own, which all processes map into memory: one parse for all, and for ever.

The store lies beside the JSON, or in a cache folder where that cannot be written to. It belongs to a JSON of one size and time
of change; where these differ, a hash of the content decides. Its own content is checked by a checksum: a damaged store is
made anew. Whoever finds none holds the JSON while making it, and the others wait.
"""
from __future__ import annotations

import hashlib
import json
import mmap
import os
import stat
import struct
import time
import warnings
import zlib
from contextlib import contextmanager, suppress
from glob import escape, glob
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from mmcv_need.serialization.atomic_files import written_atomically
from mmdet.datasets.annotations import Columns
from mmdet.datasets.coco_table import CocoTable

try:
    import fcntl
except ImportError:  # not a system of POSIX
    fcntl = None  # type: ignore[assignment]

MAGIC = b'annotation columns 1\n'
START = struct.Struct(f'<{len(MAGIC)}sQL')  # then length and checksum of the header, which is JSON
ALIGNED = 64  # bytes, on which each array begins
SUFFIX = '.columns'
SMALL = 2 * 2**20  # bytes of JSON below which parsing costs less than a file beside it annoys
SETTLED = 2 * 10**9  # nanoseconds after which a file's time of change tells that it has not changed since
KINDS = {'names': '|u1', 'name_ends': '<i8', 'ids': '<i8', 'sizes': '<i8', 'first': '<i8', 'bboxes': '<f4', 'labels': '<i4',
         'kinds': '|i1', 'xywh': '<f8', 'areas': '<f8', 'crowds': '|b1'}  # dtype of each array
WIDE = {'sizes': 2, 'bboxes': 4, 'xywh': 4}  # columns of those that have several


def stored(path: str, parse: Callable[[str], CocoTable]) -> CocoTable:
    """The table of an annotation file: from its store, or parsed and stored.

    Args:
        path: of the JSON.
        parse: makes the table of it.

    Raises:
        DataError: as `parse`.
    """
    if os.path.getsize(path) < SMALL:
        return parse(path)
    places = [path + SUFFIX, os.path.join(_cache_folder(), f'{os.path.basename(path)}.{_short_hash(path)}{SUFFIX}')]
    table = _first_of(path, places)
    if table is None:
        with _held(path):
            table = _first_of(path, places) or _made(path, places, parse)  # the former by another process, meanwhile
    return table


def _made(path: str, places: List[str], parse: Callable[[str], CocoTable]) -> CocoTable:
    key = _key(path)
    table, digest = parse(path), _digest(path)
    changed = any(_key(path)[name] != key[name] for name in ('size', 'mtime_ns'))
    if table.faults or changed:  # faults are told each time, and a file that changed meanwhile is read anew
        return table
    kept, reason = _keep(places, table, key, digest)
    if kept is None:
        warnings.warn(f'{path}: its annotations cannot be stored for the next run and for other processes ({reason})',
                      UserWarning, stacklevel=4)
    return kept or table


def _first_of(path: str, places: List[str]) -> Optional[CocoTable]:
    """The table of the first store that is of this JSON, or None."""
    key = _key(path)
    for place in places:
        with suppress(OSError, ValueError, KeyError, TypeError, struct.error):  # no store, or a damaged one
            header, data, start = _open(place)
            if header['key'] == key and key['settled']:
                return _table(header, data, start)
            if header['key']['size'] == key['size'] and header['digest'] == _digest(path):
                table = _table(header, data, start)
                return (_keep([place], table, key, header['digest'])[0] if key['settled'] else None) or table
    return None


def _key(path: str) -> Dict[str, Any]:
    """What tells a JSON from another. One that has just been written may be written again within the same tick of its clock."""
    found = os.stat(path)
    return {'size': found.st_size, 'mtime_ns': found.st_mtime_ns, 'mode': found.st_mode & 0o666 | 0o600,
            'settled': time.time_ns() - found.st_mtime_ns > SETTLED}


def _digest(path: str) -> str:
    digest = hashlib.blake2b(digest_size=20)
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(2**20), b''):
            digest.update(block)
    return digest.hexdigest()


def _short_hash(path: str) -> str:
    return hashlib.blake2b(os.path.realpath(path).encode(), digest_size=8).hexdigest()


def _cache_folder() -> str:
    home = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return os.path.join(home, 'mmdet-ssd')


@contextmanager
def _held(path: str) -> Iterator[None]:
    """Within this, no other process makes the store of this JSON, on file systems that know locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # which the parser tells of
        yield
        return
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _arrays(table: CocoTable) -> Dict[str, np.ndarray]:
    named = {**table.columns._asdict(), 'xywh': table.xywh, 'areas': table.areas, 'crowds': table.crowds}
    return {name: np.ascontiguousarray(named[name], dtype=kind) for name, kind in KINDS.items()}


def _keep(places: List[str], table: CocoTable, key: Dict[str, Any], digest: str) -> Tuple[Optional[CocoTable], str]:
    """Write a store to the first place that takes it: the table that reads from there; or None, and why no place does."""
    arrays, reason = _arrays(table), ''
    header = {'key': key, 'digest': digest, 'categories': table.categories, 'annotated': table.annotated,
              'arrays': {name: [len(array), zlib.crc32(array.data)] for name, array in arrays.items()}}
    for place in places:
        try:
            os.makedirs(os.path.dirname(place) or '.', mode=0o750, exist_ok=True)
            _write(place, json.dumps(header).encode(), list(arrays.values()), key['mode'])
            return _table(*_open(place)), ''
        except OSError as error:
            reason = f'{place}: {error.strerror or error}'
    return None, reason


def _write(place: str, header: bytes, arrays: List[np.ndarray], mode: int) -> None:
    """All or nothing, readable by whom the JSON is. What a killed process left of an earlier attempt goes."""
    for left in glob(f'{escape(place)}.tmp.*'):
        os.unlink(left)
    with written_atomically(place, mode) as file:
        file.write(START.pack(MAGIC, len(header), zlib.crc32(header)) + header)
        for array in arrays:
            file.write(b'\0' * (-file.tell() % ALIGNED))
            file.write(array.data)


def _open(place: str) -> Tuple[Dict[str, Any], Any, int]:
    """The header of a store, its bytes, and where the header ends. Raises ValueError if it is none."""
    flags = os.O_RDONLY | getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_NONBLOCK', 0)  # no link, and no waiting for a pipe
    with open(os.open(place, flags), 'rb') as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError('no file')
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    magic, length, checksum = START.unpack_from(data)
    header = data[START.size:START.size + length]
    if magic != MAGIC or zlib.crc32(header) != checksum:
        raise ValueError('no store, of another version, or damaged')
    return json.loads(header), data, START.size + length


def _table(header: Dict[str, Any], data: Any, place: int) -> CocoTable:
    """The table in a store. Raises ValueError if it is damaged."""
    found: Dict[str, np.ndarray] = {}
    for name, kind in KINDS.items():
        length, checksum = header['arrays'][name]
        place += -place % ALIGNED
        count = length * WIDE.get(name, 1)
        array = np.frombuffer(data, np.dtype(kind), count, place)
        if zlib.crc32(array) != checksum:
            raise ValueError(f'{name} is damaged')
        found[name] = array.reshape(length, WIDE[name]) if name in WIDE else array
        place += array.nbytes
    columns = Columns(*(found[name] for name in Columns._fields))
    _check_consistent(columns, found, len(header['categories']))
    return CocoTable(columns, found['xywh'], found['areas'], found['crowds'], header['categories'], header['annotated'], {})


def _check_consistent(columns: Columns, arrays: Dict[str, np.ndarray], num_categories: int) -> None:
    """No index leads out of an array: a store is data, whoever wrote it. Raises ValueError if one does."""
    pictures, boxes = len(columns.ids), len(columns.bboxes)
    spans = ((columns.name_ends, len(columns.names)), (columns.first, boxes))
    if any(len(ends) != pictures + 1 or ends[0] != 0 or ends[-1] != last or (np.diff(ends) < 0).any() for ends, last in spans):
        raise ValueError('spans are inconsistent')
    per_box = (columns.labels, columns.kinds, arrays['xywh'], arrays['areas'], arrays['crowds'])
    if len(columns.sizes) != pictures or any(len(array) != boxes for array in per_box):
        raise ValueError('lengths are inconsistent')
    if boxes and not (columns.labels.min() >= -1 and columns.labels.max() < num_categories):
        raise ValueError('labels are out of range')
