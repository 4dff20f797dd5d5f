"""One run at a time in a folder: two would write over each other's checkpoints."""
from __future__ import annotations

import os
import socket
import warnings
from contextlib import contextmanager
from functools import partial
from typing import Iterable, Iterator, List

from mmcv_need.dist_utils import on_rank_0
from mmcv_need.errors import UserError

try:
    import fcntl
except ImportError:  # not a system of POSIX
    fcntl = None  # type: ignore[assignment]

LOCK = '.lock'


@contextmanager
def lone_run(folders: Iterable[str]) -> Iterator[None]:
    """Within this, a run has its folders for itself; rank 0 holds them, and lets them go whatever way it ends.

    Raises:
        UserError: another process has one of them.
    """
    held: List[int] = []
    try:
        for folder in sorted({os.path.realpath(folder) for folder in folders}):
            on_rank_0(partial(lock, folder, held))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def lock(folder: str, held: List[int]) -> None:
    """Lock a folder for this process; where the file system knows no locks, warn.

    The kind of lock is that of POSIX, which children do not inherit: a loader's worker that outlives a killed run keeps nobody
    out.

    Args:
        folder: made where it is missing.
        held: gets a descriptor; closing it, or the end of the process, unlocks.

    Raises:
        UserError: it is locked, by whom the file says; or it cannot be made or written to.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(f'{folder}: no run can be written there ({error.strerror}). Choose another --work-dir') from error
    held.append(descriptor)
    try:
        if fcntl is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        holder = os.read(descriptor, 200).decode(errors='replace').strip()
        raise UserError(f'{folder}: another run is writing there ({holder}). Wait for its end, or choose another '
                        f'--work-dir') from error
    except OSError as error:
        warnings.warn(f'{folder}: cannot be locked ({error.strerror}); see to it that no other run writes there',
                      UserWarning, stacklevel=2)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}\n'.encode())
