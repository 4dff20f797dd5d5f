"""The start of a loader's workers: what they do first, and that they got so far."""
from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from multiprocessing.sharedctypes import RawArray
from typing import Any, Iterator, Sequence

import cv2
import torch

from mmcv_need.orphans import die_with_parent

SECONDS, LOOK = 5.0, 0.001  # that a forked worker may take to its first line, a matter of milliseconds; and between two looks
REPLACED = 2  # how often; the next ones are waited for as any worker is


class WorkerStart:
    """Begins a worker, as torch's `worker_init_fn`, and knows from outside which of them have begun.

    A process that is forked is a copy of one thread only: a lock that another thread holds in that moment stays locked in the
    copy for ever, and CPython up to 3.11 takes one itself there, before any line of Python runs. It was seen once in some 30
    starts right after a collective, when gloo's thread lets go of a tensor and needs a thread state of Python's for that. Such
    a copy has done nothing yet, so another one takes its place.

    Args:
        workers: how many there will be.
    """

    def __init__(self, workers: int):
        self._begun = RawArray('b', workers)

    def __call__(self, worker: int) -> None:
        """One thread a worker: more would fight over the same cores. It ends with its process, however that ends.

        A signal to all processes of a job (Ctrl-C, a batch system's) is for its process to heed, which may still need batches:
        here they are held back. Only the process itself may end a worker by SIGTERM.
        """
        parent = multiprocessing.parent_process().pid
        die_with_parent(parent)
        if hasattr(signal, 'sigwaitinfo'):
            threading.Thread(target=_obey, args=(parent,), daemon=True).start()
        else:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        cv2.setNumThreads(0)
        torch.set_num_threads(1)
        gc.freeze()  # what was here before stays: looking through it again would take time, and copy its memory
        self._begun[worker] = 1

    def batches(self, loader: Any) -> Iterator[Any]:
        """`iter(loader)`, of torch, with workers that have begun, as far as others in their place can help."""
        forks = multiprocessing.get_start_method() == 'fork'
        for _ in range(REPLACED if forks and len(self._begun) and loader._iterator is None else 0):
            self._begun[:] = [0] * len(self._begun)
            batches = iter(loader)
            if self._all_begin(batches._workers):
                return batches
            end(batches._workers)
            loader._iterator = batches = None
        return iter(loader)

    def _all_begin(self, workers: Sequence[Any]) -> bool:
        """False if some have not after a while. Those that have ended need not: whoever waits for a batch is told of them."""
        until = time.monotonic() + SECONDS
        while not all(begun or not worker.is_alive() for begun, worker in zip(self._begun, workers)):
            if time.monotonic() > until:
                return False
            time.sleep(LOOK)
        return True


def end(workers: Sequence[Any], seconds: float = 2.0) -> None:
    """Kill workers, and wait a while until they are gone."""
    for act in (lambda worker: worker.kill(), lambda worker: worker.join(seconds)):
        for worker in workers:
            with suppress(RuntimeError):  # of torch, where the signal of a worker's end happens to arrive: once
                act(worker)


def _obey(parent: int) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)
