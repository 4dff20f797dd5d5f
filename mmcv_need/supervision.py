"""Waiting for the processes of a run: when one fails the others end too, and the first to fail is found."""
from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set

from mmcv_need.failures import Failure, ended_by, find
from mmcv_need.stop_signals import INTERRUPTED, SIGNALS

LOOK = 0.2  # seconds between looks at the signals received
SETTLE = 3.0  # seconds that processes have, when one has failed, to see it and say so themselves
LAST_WORDS = 4.0  # seconds between asking them to end and ending them
GRACE = 30.0  # the same, when the user asked the run to end: it may be saving


class Ended(NamedTuple):
    """How the processes ended.

    Attributes:
        times: when each was seen to have ended, in seconds since 1970.
        by_us: ranks that the launcher had to end, because another had failed, or the user would not wait.
        silent: those of them that did not react to being asked.
    """
    times: Dict[int, float]
    by_us: Set[int]
    silent: Set[int]


class Verdict(NamedTuple):
    """What became of a run: its exit status, and what is to be said; '' if nothing."""
    status: int
    line: str


def wait_for_all(processes: Sequence[Any], asked: List[int]) -> Ended:
    """Wait for the end of all processes: once one has ended before it was done, for whatever reason, the others have to follow.

    One that stopped to go on later has waited until the run was saved.

    Args:
        processes: of multiprocessing, by rank.
        asked: fills with the signals that the launcher gets; each is passed on. A second interrupt ends all at once.
    """
    ended = Ended({}, set(), set())
    passed, steps = 0, []  # steps: (when, signal) still to come
    while len(ended.times) < len(processes):
        running = [rank for rank in range(len(processes)) if rank not in ended.times]
        wait([processes[rank].sentinel for rank in running], timeout=LOOK)
        now = time.time()
        for rank in running:
            if processes[rank].exitcode is not None:
                ended.times[rank] = now
                if processes[rank].exitcode != 0 and (not steps or steps[-1][0] > now + SETTLE + LAST_WORDS):
                    steps = [(now + SETTLE, signal.SIGTERM), (now + SETTLE + LAST_WORDS, signal.SIGKILL)]
        for number in asked[passed:]:
            passed += 1
            if asked[:passed].count(signal.SIGINT) > 1:
                ended.by_us.update(send(processes, ended, signal.SIGKILL))
            else:
                send(processes, ended, number)
            steps = steps or [(now + GRACE, signal.SIGKILL)]  # the first one counts
        while steps and steps[0][0] <= now:
            left = send(processes, ended, steps.pop(0)[1])
            (ended.by_us if steps else ended.silent).update(left)
    return ended


def send(processes: Sequence[Any], ended: Ended, number: int) -> List[int]:
    """Send a signal to the processes that have not ended; their ranks."""
    running = [rank for rank, process in enumerate(processes) if rank not in ended.times and process.is_alive()]
    for rank in running:
        os.kill(processes[rank].pid, number)
    return running


def end_all(processes: Sequence[Any]) -> None:
    """End what is left of the processes, and of what they started."""
    for process in processes:
        if process.is_alive():
            process.kill()
        process.join()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # each led a session of its own


def verdict_of(codes: Sequence[int], files: Sequence[str], ended: Ended, asked: Sequence[int],
               resumable: Optional[int]) -> Verdict:
    """What became of a run of several processes.

    Args:
        codes: exit statuses by rank; minus the signal's number for those that were killed. Fewer than files if a signal came
            before all were started.
        files: where each may have left a Failure.
        ended: see Ended.
        asked: the signals that the launcher got.
        resumable: the status of a run that can go on, if this one can.
    """
    stopped = {INTERRUPTED} if resumable is None else {INTERRUPTED, resumable}
    if set(codes) == {0} and len(codes) == len(files):
        return Verdict(0, '')
    failures = [(rank, find(files[rank]) or unexplained(code, ended.times[rank], rank in ended.by_us | ended.silent
                                                        or -code in asked))
                for rank, code in enumerate(codes) if code != 0 and code not in stopped]
    causes = [entry for entry in failures if not entry[1].consequence]
    if causes or not (asked or stopped & set(codes)):
        left = [] if ended.silent else [(rank, early(ended.times[rank])) for rank, code in enumerate(codes) if code == 0]
        rank, failure = min(causes or left or failures, key=lambda entry: entry[1].time)
        return Verdict(failure.status, failure.report(rank, ended.silent))
    number = asked[0] if asked else signal.SIGINT if INTERRUPTED in codes else 0
    if number == signal.SIGINT:
        return Verdict(INTERRUPTED, 'interrupted')
    if resumable is not None and (resumable in codes or (number in SIGNALS and not codes)):
        return Verdict(resumable, f'stopped by {signal.Signals(number).name}' if number else '')
    return Verdict(128 + number, f'ended by {signal.Signals(number).name}')


def early(when: float) -> Failure:
    """The failure of a process that ended as if all were done, while others waited for it."""
    return Failure(when, f'{ended_by(0)} while others had more to do', '', 1, False)


def unexplained(code: int, when: float, consequence: bool) -> Failure:
    """The failure of a process that left nothing, from its exit status."""
    if code >= 0:
        return Failure(when, f'{ended_by(code)} without a word', '', code, consequence)
    return Failure(when, ended_by(code), '', 128 - code, consequence)
