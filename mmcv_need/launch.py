"""Several processes of a run on this machine: start them, pass signals on, and leave none behind.

They meet through a file, so no port is opened to find each other, and gloo's own connections stay on the loopback interface.
Each process leads a session of its own: a signal from the terminal reaches the launcher alone, which passes it on once.
"""
from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from torch import multiprocessing

from mmcv_need import cores
from mmcv_need import device as devices
from mmcv_need.failures import FILE
from mmcv_need.orphans import die_with_parent
from mmcv_need.rank_folder import rank_folder
from mmcv_need.stop_signals import INTERRUPTED, held_back, leave_at_once
from mmcv_need.supervision import end_all, verdict_of, wait_for_all

STORE = 'RANK_STORE_FILE'  # the environment says which file the processes meet through
SIGNALS = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2') if hasattr(signal, name)]

Work = Callable[[Sequence[str]], int]


def launch(work: Work, arguments: Sequence[str], size: int, resumable: Optional[int] = None) -> int:
    """Run `work(arguments)` in `size` processes, to the end of all.

    Args:
        work: gives the exit status; a function of a module, for a new interpreter to find.
        arguments: of the command line.
        size: how many processes.
        resumable: the status of a run that stopped before its end and can go on, if this one can; a signal that comes before
            there is anything to save has this status, too.

    Returns:
        The exit status: 0, or `resumable`; else that of the process that failed first, which stderr names; else 128 and the
        number of the signal that asked the run to end.
    """
    with rank_folder() as folder:
        files = [os.path.join(folder, f'failure_{rank}.json') for rank in range(size)]
        processes: List[Any] = []
        try:
            with received_signals() as asked:
                resource_tracker.ensure_running()  # or it starts with the first process, and lets signals through then
                for rank in range(size):
                    if not asked:
                        processes.append(start(work, arguments, rank, size, folder, files[rank], resumable))
                ended = wait_for_all(processes, asked)
        finally:
            end_all(processes)
        verdict = verdict_of([process.exitcode for process in processes], files, ended, asked, resumable)
    if verdict.line:
        print(verdict.line, file=sys.stderr)
    return verdict.status


def start(work: Work, arguments: Sequence[str], rank: int, size: int, folder: str, failure_file: str,
          resumable: Optional[int] = None) -> Any:
    """Start one of the processes: a new interpreter, since drivers of accelerators do not survive a fork."""
    share = max(1, len(cores.all_cores()) // size)
    threads = os.environ.get('OMP_NUM_THREADS', '')
    ours = {'RANK': str(rank), 'LOCAL_RANK': str(rank), 'WORLD_SIZE': str(size), 'LOCAL_WORLD_SIZE': str(size),
            STORE: os.path.join(folder, 'store'), FILE: failure_file, **devices.on_loopback(),
            'OMP_NUM_THREADS': str(min(share, int(threads)) if threads.isdigit() else share)}
    process = multiprocessing.get_context('spawn').Process(
        target=be_rank, name=f'rank {rank}', args=(work, list(arguments), rank, size, os.getpid(), resumable))
    with environment(ours), held_back(SIGNALS):
        process.start()
    return process


def be_rank(work: Work, arguments: Sequence[str], rank: int, size: int, launcher: int, resumable: Optional[int]) -> None:
    """What a started process does."""
    os.setsid()
    die_with_parent(launcher)
    try:
        if resumable is not None:
            leave_at_once(quietly=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        cores.bind(rank, size)
        status = work(arguments)
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def is_launched() -> bool:
    """Whether this process was started by `launch`, which says of its failure what is to be said."""
    return STORE in os.environ


@contextmanager
def received_signals() -> Iterator[List[int]]:
    """Within this, signals that would end the launcher are put into a list; those that it ignores (`nohup`) stay ignored."""
    received: List[int] = []
    before: Dict[int, Any] = {number: signal.signal(number, lambda got, _: received.append(got)) for number in SIGNALS
                              if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Within this, the environment has these values; the libraries of a new interpreter read some of them as they load."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
