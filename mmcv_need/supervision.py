"""Waiting for the processes of a run: when one fails the others end too, and the first to fail is found."""
from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from mmcv_need.failures import Failure, ended_by, find

LOOK = 0.2  # seconds between looks at the signals received
SETTLE = 3.0  # seconds that processes have, when one has failed, to see it and say so themselves
LAST_WORDS = 4.0  # seconds between asking them to end and ending them
GRACE = 30.0  # the same, when the user asked the run to end: it may be saving


class Ended(NamedTuple):
    """How the processes ended.

    Attributes:
        times: when each was seen to have ended, in seconds since 1970.
        by_us: ranks that the launcher had to end, because another had failed.
        silent: those of them that did not react to being asked.
    """
    times: Dict[int, float]
    by_us: Set[int]
    silent: Set[int]


def wait_for_all(processes: Sequence[Any], calm: Sequence[int], asked: List[int]) -> Ended:
    """Wait for the end of all processes.

    Args:
        processes: of multiprocessing, by rank.
        calm: exit statuses that are no failure.
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
                if processes[rank].exitcode not in calm and not steps:
                    steps = [(now + SETTLE, signal.SIGTERM), (now + SETTLE + LAST_WORDS, signal.SIGKILL)]
        for number in asked[passed:]:
            send(processes, ended, signal.SIGKILL if asked[:passed + 1].count(signal.SIGINT) > 1 else number)
            passed += 1
            steps = [(now + GRACE, signal.SIGKILL)]
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


def first_failure(codes: Sequence[int], files: Sequence[str], ended: Ended, calm: Sequence[int]) -> Tuple[int, Failure]:
    """(rank, failure) of the process that failed first, of those whose failure is no consequence of another's.

    Args:
        codes: exit statuses by rank; minus the signal's number for those that were killed.
        files: where each may have left a Failure.
        ended: see Ended.
        calm: exit statuses that are no failure.
    """
    failures = [(rank, find(files[rank]) or unexplained(code, ended.times[rank], rank in ended.by_us | ended.silent))
                for rank, code in enumerate(codes) if code not in calm]
    return min(failures, key=lambda entry: (entry[1].consequence, entry[1].time))


def unexplained(code: int, when: float, consequence: bool) -> Failure:
    """The failure of a process that left nothing, from its exit status."""
    if code >= 0:
        return Failure(when, f'{ended_by(code)} without a word', '', code, consequence)
    return Failure(when, ended_by(code), '', 128 - code, consequence)
