"""Files that are written whole or not at all."""
from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from typing import BinaryIO, Iterator

from mmcv_need.errors import CheckpointError


@contextmanager
def written_atomically(path: str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Within this, a file to write into, which takes the place of `path` at the end; if that fails, `path` is its old self.

    Args:
        path: where to.
        mode: permissions, of which the user's umask takes some.

    Raises:
        OSError: it cannot be written.
    """
    temporary = f'{path}.tmp.{os.getpid()}'
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, 'O_NOFOLLOW', 0)  # a killed process may have had our number
    try:
        with open(os.open(temporary, flags, mode), 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def write_atomically(path: str, data: bytes) -> None:
    """Write a file so that, whenever the process dies, `path` is either its old self or the whole of `data`.

    Raises:
        CheckpointError: it cannot be written, with the reason and the room that is left; its old self is.
    """
    folder = os.path.dirname(path) or '.'
    try:
        with written_atomically(path) as file:
            file.write(data)
    except OSError as error:
        room = f'{shutil.disk_usage(folder).free / 2**20:.0f} MB are free there' if os.path.isdir(folder) else 'no such folder'
        raise CheckpointError(f'{path}: cannot be written ({error.strerror}); {room}. Older checkpoints are intact') from error
    _sync_folder(folder)


def link_atomically(path: str, name: str) -> None:
    """Make `path` a relative link to its neighbour `name`, or a copy of it on a file system without links."""
    folder, temporary = os.path.dirname(path), f'{path}.tmp.{os.getpid()}'
    if os.path.lexists(temporary):
        os.unlink(temporary)
    try:
        try:
            os.symlink(name, temporary)
        except OSError:
            shutil.copyfile(os.path.join(folder, name), temporary)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise CheckpointError(f'{path}: cannot be made a link to {name}, which is written ({error.strerror})') from error


def _sync_folder(folder: str) -> None:
    """Make a rename in `folder` survive a power cut."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
