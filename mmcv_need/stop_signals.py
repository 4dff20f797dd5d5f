"""Signals that ask a training run to stop: a handler takes a note, and the run looks at it between two steps.

SIGTERM and SIGUSR1 come from batch systems, SIGINT from Ctrl-C. Nothing here takes time to import: a program can heed signals
while it imports the rest.
"""
from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import Any, Dict, Iterator, Optional, Sequence

RESUMABLE = 75  # exit status of a run that stopped before its end and can go on: EX_TEMPFAIL of sysexits.h
INTERRUPTED = 128 + signal.SIGINT
SIGNALS = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGUSR1') if hasattr(signal, name)]


class StopWish:
    """Whether a signal has asked this process to stop its run.

    Attributes:
        number: of the signal that came first; None as long as none came.
    """

    def __init__(self) -> None:
        self.number: Optional[int] = None
        self._before: Dict[int, Any] = {}
        self._process = 0

    @property
    def reason(self) -> str:
        return f'{signal.Signals(self.number).name} asked for it' if self.number else 'a signal to another process asked for it'

    @property
    def status(self) -> int:
        """The exit status of a run that stopped, with a checkpoint, before it was complete."""
        return INTERRUPTED if self.number == signal.SIGINT else RESUMABLE

    def begin(self, saves: bool) -> None:
        """Now there is something to lose: from here on signals are noted, or mean what they mean to any program.

        Args:
            saves: whether the run is saved when it stops.
        """
        if self._process or threading.current_thread() is not threading.main_thread():
            return  # only there can handlers be set
        self._process = os.getpid()
        for number in heeded():
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            self._before[number] = signal.signal(number, self._note if saves else usual)

    def end(self) -> None:
        """Signals mean what they meant before `begin`."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before, self._process = {}, 0

    def _note(self, number: int, _: Any) -> None:
        if os.getpid() != self._process:
            return  # a child: what becomes of it is for its parent to say
        if self.number is None:
            self.number = number
        if number == signal.SIGINT:
            signal.signal(number, self._before[number])
            say('interrupted: it saves a checkpoint and ends; Ctrl-C again leaves at once, without one')


@contextmanager
def listening(wish: StopWish) -> Iterator[None]:
    """Within this, a run may begin to note signals; afterwards they mean what they meant before."""
    try:
        yield
    finally:
        wish.end()


def heeded() -> Iterator[int]:
    """The signals that this process was not started to ignore (as by `nohup`, or in the background of a shell)."""
    return (number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


def leave_at_once(quietly: bool = False) -> None:
    """Until a run begins to note signals, one ends this program, whatever it is doing: there is nothing to save yet.

    Its status is that of a run that was saved: to start it again is to go on.

    Args:
        quietly: without a word, where a launcher says it.
    """
    process = os.getpid()

    def leave(number: int, _: Any) -> None:
        if os.getpid() != process:  # a child
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if not quietly:
            say('interrupted' if number == signal.SIGINT else f'stopped by {signal.Signals(number).name}')
        os._exit(INTERRUPTED if number == signal.SIGINT else RESUMABLE)
    for number in heeded():
        signal.signal(number, leave)


@contextmanager
def held_back(numbers: Sequence[int]) -> Iterator[None]:
    """Within this, and in processes that are started, signals wait: it is too early to do with them what is right."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def say(line: str) -> None:
    """A line on stderr, from within a handler, by one process of a run."""
    if os.environ.get('RANK', '0') == '0':
        with suppress(OSError):  # no room
            os.write(2, f'{line}\n'.encode())
