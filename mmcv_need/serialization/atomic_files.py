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
        _sync_folder(folder)
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be written ({error.strerror}); {_room(folder)}. Older checkpoints are '
                              f'intact') from error


def append_line(path: str, line: str) -> None:
    """Add a line to a file, whole or not at all, however full the disk is.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, 'ab', buffering=0) as file:
        before, data = file.tell(), f'{line}\n'.encode()
        try:
            while data:
                data = data[file.write(data):]
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise


def link_atomically(path: str, name: str) -> None:
    """Make `path` a relative link to its neighbour `name`, or a copy of it on a file system without links."""
    folder, temporary = os.path.dirname(path), f'{path}.tmp.{os.getpid()}'
    try:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        try:
            os.symlink(name, temporary)
        except OSError:
            shutil.copyfile(os.path.join(folder, name), temporary)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise CheckpointError(f'{path}: cannot be made a link to {name}, which is written ({error.strerror})') from error


def _room(folder: str) -> str:
    """How much room a folder has, in words."""
    try:
        return f'{shutil.disk_usage(folder).free / 2**20:.0f} MB are free there'
    except FileNotFoundError:
        return 'no such folder'
    except OSError:
        return 'how much is free there cannot be told'


def _sync_folder(folder: str) -> None:
    """Make a rename in `folder` survive a power cut."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
