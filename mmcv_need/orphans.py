"""No process outlives the one that started it, even where that is killed without a word."""
from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
INTERVAL = 1.0  # seconds between looks, where the kernel does not tell


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent is gone, in whatever state it is then: stopped, or deep in a library.

    Args:
        parent: process id of the parent, taken there or at the start: it may be gone already.
    """
    if sys.platform.startswith('linux'):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os.kill(os.getpid(), signal.SIGKILL)
