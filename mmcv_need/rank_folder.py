"""The folder for temporary files in which the processes of one machine meet, and leave word of failures."""
from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import Iterator

try:
    import fcntl
except ImportError:  # not a system of POSIX
    fcntl = None  # type: ignore[assignment]

PREFIX = 'ranks_'
YOUNG = 60.0  # seconds in which whoever makes a folder has locked it


@contextmanager
def rank_folder() -> Iterator[str]:
    """Within this, the folder exists. One whose launcher was killed goes when the next one starts."""
    remove_abandoned(tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix=PREFIX)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(where: str) -> None:
    """Remove this user's folders of launchers that are gone: a lock ends with the process that holds it."""
    for entry in list(os.scandir(where)) if fcntl is not None else []:
        with suppress(OSError):  # another launcher removes it, too
            found = entry.stat(follow_symlinks=False)
            if (entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False) and found.st_uid == os.getuid()
                    and time.time() - found.st_mtime > YOUNG and os.path.exists(os.path.join(entry.path, 'store'))):
                descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(entry.path, ignore_errors=True)
                finally:
                    os.close(descriptor)
