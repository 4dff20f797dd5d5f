"""How a command line ends: its exit status, and one line for an error instead of a traceback."""
from __future__ import annotations

import os
import sys
import warnings
from typing import Any, Callable, Sequence

from mmcv_need.dist_utils import get_dist_info, leave_dist, missing_processes
from mmcv_need.errors import UserError, printable
from mmcv_need.failures import failure_of, leave, lost_peer
from mmcv_need.file_modes import keep_private
from mmcv_need.launch import is_launched
from mmcv_need.stop_signals import INTERRUPTED


def run(main: Callable[[Sequence[str]], Any]) -> None:
    """Run a command line's `main` to the end of this program; what it writes is not everybody's to read.

    Its exit status is that of `main` also where its output has no room.
    """
    def privately(arguments: Sequence[str]) -> Any:
        keep_private()
        return main(arguments)
    status = ended(privately, sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter's last try would make it 120
    sys.exit(status)


def ended(main: Callable[[Sequence[str]], Any], arguments: Sequence[str]) -> int:
    """Call a command line's `main`: what the user can mend is one line on stderr and status 2, an interrupt status 130.

    So is a file or folder that cannot be used. What `main` returns is the status otherwise. A warning is one line too,
    whatever the number of processes. Where this program started the processes, it tells of the first failure of all
    (launch.py); each only leaves word.
    """
    warnings.showwarning = print_warning
    try:
        status = main(arguments)
        leave_dist()
    except KeyboardInterrupt:
        if not is_launched():
            print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        mendable = isinstance(error, UserError) or (isinstance(error, OSError) and error.filename is not None)
        failure = failure_of(error, 2 if mendable else 1)
        if lost_peer(error):
            failure = failure.explained(missing_processes())
        leave(failure)
        if not is_launched():
            rank, size = get_dist_info()
            print(failure.report(rank) if size > 1 else failure.trace.rstrip() or f'error: {failure.message}', file=sys.stderr)
        return failure.status
    return status or 0


def print_warning(message: Any, *_: Any, **__: Any) -> None:
    """One line on stderr, by rank 0 only; before there is a process group, RANK says who that will be."""
    rank, world_size = get_dist_info()
    if (str(rank) if world_size > 1 else os.environ.get('RANK', '0')) == '0':
        print(f'warning: {printable(str(message))}', file=sys.stderr)
