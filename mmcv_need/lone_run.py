"""One run at a time in a work directory: two would write over each other's checkpoints."""
from __future__ import annotations

import os
import socket
import warnings
from contextlib import contextmanager
from functools import partial
from typing import Iterator, Optional

import torch

from mmcv_need.dist_utils import on_rank_0
from mmcv_need.errors import UserError

try:
    import fcntl
except ImportError:  # not a system of POSIX
    fcntl = None  # type: ignore[assignment]

LOCK = '.lock'


@contextmanager
def lone_run(work_dir: str, rank: int, device: torch.device) -> Iterator[None]:
    """Within this, a run has its work directory for itself; rank 0 holds it, and lets it go whatever way it ends.

    Raises:
        UserError: another process has it.
    """
    descriptor = on_rank_0(partial(lock, work_dir), rank, device)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def check_free(work_dir: str) -> None:
    """No other process has the folder now. Any number of processes may ask at once.

    Raises:
        UserError: one has.
    """
    path = os.path.join(work_dir, LOCK)
    if fcntl is None or not os.path.isfile(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise _taken(work_dir, descriptor) from error
    except OSError:  # no locks there
        pass
    os.close(descriptor)


def _taken(work_dir: str, descriptor: int) -> UserError:
    holder = os.read(descriptor, 200).decode(errors='replace').strip()
    os.close(descriptor)
    return UserError(f'{work_dir}: another run is writing there ({holder}). Wait for its end, or choose another --work-dir')


def lock(work_dir: str) -> Optional[int]:
    """Lock a folder for this process. None where the file system knows no locks, with a warning.

    The kind of lock is that of POSIX, which children do not inherit: a loader's worker that outlives a killed run keeps nobody
    out.

    Returns:
        A descriptor; closing it, or the end of the process, unlocks.

    Raises:
        UserError: it is locked, by whom the file says; or it cannot be made or written to.
    """
    path = os.path.join(work_dir, LOCK)
    try:
        os.makedirs(work_dir, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(f'{work_dir}: no run can be written there ({error.strerror}). Choose another --work-dir') from error
    try:
        if fcntl is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise _taken(work_dir, descriptor) from error
    except OSError as error:
        os.close(descriptor)
        warnings.warn(f'{work_dir}: cannot be locked ({error.strerror}); see to it that no other run writes there',
                      UserWarning, stacklevel=2)
        return None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}\n'.encode())
    return descriptor
