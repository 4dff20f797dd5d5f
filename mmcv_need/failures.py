"""What a process of a run leaves behind when it fails, for whoever started it to say which was the first, and why.

The file is torchrun's: it names the process that failed first only if that wrote one. The key `failure` is ours.
"""
from __future__ import annotations

import json
import os
import re
import signal
import time
import traceback
from typing import Iterable, NamedTuple, Optional

from mmcv_need.errors import UserError, printable

FILE = 'TORCHELASTIC_ERROR_FILE'  # the environment says where

# What gloo, nccl and hccl say when another process is gone or silent; the cause is there, not here.
LOST_PEER = re.compile(r'closed by peer|reset by peer|broken pipe|timed out|timeout|remote process exited|connection refused|'
                       r'socket closed|connectfailed|communicator was aborted|heartbeat', re.IGNORECASE)


class PeerError(UserError):
    """This process ends because of another one, which says why."""


class Failure(NamedTuple):
    """How a process ended.

    Attributes:
        time: seconds since 1970.
        message: one line: what a user can mend, or the exception.
        trace: the traceback; '' for what a user can mend.
        status: exit status.
        consequence: whether another process is the cause.
    """
    time: float
    message: str
    trace: str
    status: int
    consequence: bool

    @property
    def mendable(self) -> bool:
        """Whether it is something that a user can mend: the message says all."""
        return not self.trace and self.status == 2

    def explained(self, note: str) -> Failure:
        """The same, with what else is known of it."""
        return self._replace(message=f'{self.message} ({note})') if note else self

    def report(self, rank: int, silent: Iterable[int] = ()) -> str:
        """What to tell the user of a run of several processes: traceback and message of the one that failed first.

        Args:
            rank: which one this is.
            silent: ranks that did not react when they were asked to end.
        """
        if self.mendable:
            return f"error: {f'rank {rank}: ' if rank else ''}{self.message}"
        stuck = ', '.join(map(str, sorted(silent)))
        blame = f'; no sign of life from rank {stuck}: stopped, or stuck' if self.consequence and stuck else ''
        return f'{self.trace}error: rank {rank}: {self.message}{blame}'


def failure_of(error: BaseException, status: int) -> Failure:
    """An exception as a Failure, now; status 2 says that a user can mend it."""
    mendable, message = status == 2, str(error)
    trace = '' if mendable else ''.join(traceback.format_exception(type(error), error, error.__traceback__))
    if not mendable:
        message = f'{type(error).__name__}: {error}'.splitlines()[0]
    elif isinstance(error, OSError):
        message = printable(f'{error.filename}: {error.strerror}')
    return Failure(time.time(), message, trace, status, isinstance(error, PeerError) or lost_peer(error))


def ended_by(exitcode: int) -> str:
    """What ended a process, in words, from its exit status; minus the signal's number if one killed it."""
    if exitcode >= 0:
        return f'ended with exit status {exitcode}'
    name = signal.Signals(-exitcode).name
    why = ' (the system does that when memory is short: see `dmesg`)' if name == 'SIGKILL' else ''
    return f'was killed by {name}{why}'


def lost_peer(error: BaseException) -> bool:
    """Whether a collective failed, as far as its words tell, because another process is gone or silent."""
    return isinstance(error, RuntimeError) and bool(LOST_PEER.search(str(error))) and 'DataLoader' not in str(error)


def leave(failure: Failure) -> None:
    """Write a failure where the environment asks for it, if it does and none is there."""
    path = os.environ.get(FILE)
    if path and not os.path.exists(path):
        details = {'py_callstack': failure.trace, 'timestamp': str(int(failure.time))}
        with open(path, 'w', encoding='utf-8') as file:
            json.dump({'message': {'message': failure.message, 'extraInfo': details}, 'failure': failure._asdict()}, file)


def find(path: str) -> Optional[Failure]:
    """What a process left in a file; None if it left nothing, or was killed while it wrote."""
    try:
        with open(path, encoding='utf-8') as file:
            return Failure(**json.load(file)['failure'])
    except (OSError, ValueError, LookupError, TypeError):
        return None
