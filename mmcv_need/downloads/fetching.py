"""A file from an address to its place: one process fetches it, tries again where that helps, and checks it first."""
from __future__ import annotations

import hashlib
import os
import shutil
import time
import warnings
from contextlib import contextmanager, suppress
from typing import Iterator
from urllib.parse import urlsplit

from mmcv_need.downloads.addresses import Wanted, path_of, places, shown
from mmcv_need.downloads.progress import progress, say
from mmcv_need.downloads.transfer import Dropped, NoRoom, Unavailable, forget, is_whole, transfer

try:
    import fcntl
except ImportError:  # not a system of POSIX
    fcntl = None  # type: ignore[assignment]

PAUSES = (1.0, 2.0, 4.0)  # seconds between two tries that bring nothing
GAIN = 1 << 16  # bytes that a try brings, so that the next pauses count from the first again
LONGEST = 60.0  # seconds that a server may ask us to wait


def is_here(wanted: Wanted, path: str) -> bool:
    """Whether the file is at its place. One of that name is taken for it, but where its checksum was asked for."""
    return os.path.isfile(path) and (not wanted.exact or _sha256(path) == wanted.digits)


def fetch(wanted: Wanted, path: str) -> None:
    """Make the file `path`, if it is not there. Of several processes one fetches it, and the others wait.

    Raises:
        Unavailable: from none of its places, with the reasons.
        NoRoom: it cannot be written.
    """
    try:
        if is_here(wanted, path):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with _alone(f'{path}.lock', wanted.name):
            if not is_here(wanted, path):
                _fetch_from_any(wanted, path)
            with suppress(OSError):
                os.unlink(f'{path}.lock')  # who waits for it finds the file, and so does who comes later
    except OSError as error:
        raise NoRoom(error.strerror or str(error)) from error


@contextmanager
def _alone(lock: str, name: str) -> Iterator[None]:
    """Within this, no other process fetches this file. A lock of POSIX ends with its process."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if fcntl is not None:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                say(f'{name}: another process is fetching it; waiting for that')
                fcntl.lockf(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                warnings.warn(f'{lock}: cannot be locked ({error.strerror}); two processes may fetch the same file',
                              UserWarning, stacklevel=4)
        yield
    finally:
        os.close(descriptor)


def _fetch_from_any(wanted: Wanted, path: str) -> None:
    part, reasons = f'{path}.part', []
    for place in places(wanted.address):
        try:
            if urlsplit(place).scheme == 'file':
                _copy(place, part)
                _check(wanted, part)
            else:
                say(f'downloading {shown(place)} to {path}')
                _fetch_from(wanted, place, part)
            _settle(part, path)
            return
        except Unavailable as error:
            reasons.append(f'{shown(place)}: {error}')
    raise Unavailable('; '.join(reasons))


def _fetch_from(wanted: Wanted, address: str, part: str) -> None:
    """The whole file from one address, checked. What does not fit though it came in parts is fetched once more in one."""
    try:
        if not _bring(address, part, wanted.name):
            return _check(wanted, part)
        with suppress(Unavailable):
            return _check(wanted, part)
        _bring(address, part, wanted.name)
        return _check(wanted, part)
    except Dropped as error:
        raise Unavailable(str(error)) from error


def _bring(address: str, part: str, name: str) -> bool:
    """Ask until the whole file is here; whether it came in parts."""
    pauses, in_parts, most = iter(PAUSES), False, _size(part)  # most: a server without ranges begins anew each time
    while True:
        try:
            with progress(name) as told:
                return transfer(address, part, told) or in_parts
        except Dropped as error:
            if _size(part) >= most + GAIN:
                pauses, most = iter(PAUSES), _size(part)
            pause = next(pauses, None)
            if pause is None:
                raise
            in_parts = in_parts or _size(part) > 0
            pause = max(pause, min(error.pause, LONGEST))
            say(f'{name}: {error}; trying again in {pause:g} s')
            time.sleep(pause)


def _copy(address: str, part: str) -> None:
    """The file behind an address of this machine."""
    source = path_of(address)
    if not source or not os.access(source, os.R_OK):
        raise Unavailable('no such file on this machine, or none that can be read')
    shutil.copyfile(source, part)


def _check(wanted: Wanted, part: str) -> None:
    if not wanted.digits and not is_whole(part):
        forget(part)
        raise Unavailable("the server does not say how long the file is, so that nobody knows whether it is whole; end the "
                          "address in '#sha256=' and its 64 digits")
    found = _sha256(part)
    if not found.startswith(wanted.digits):
        forget(part)
        raise Unavailable(f'its sha256 begins with {found[:len(wanted.digits)]}, not {wanted.digits}: damaged, or another file')


def _settle(part: str, path: str) -> None:
    """Give a file that is whole its name."""
    with open(part, 'rb') as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    forget(part)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else 0


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()
