"""Signs of life of every process of a run on several machines, so that the survivors can say who is missing.

A collective that fails says that it waited, not for whom. So each process counts up a number in the store that all share,
in a thread; when a collective fails, the numbers that stand still are those of the missing.
"""
from __future__ import annotations

import datetime
import os
import socket
import threading
import time
from typing import Any, Dict, List

import torch.distributed as dist

INTERVAL = 2.0  # seconds between two signs of life


class Heartbeat:
    """The signs of life of this process, and a look at those of the others.

    Args:
        store: a connection of its own to the store: the thread uses it while the process waits elsewhere.
        rank, size: of this process, and of the run.
        interval: seconds between two signs of life.
    """

    def __init__(self, store: Any, rank: int, size: int, interval: float = INTERVAL):
        self.store = store
        self.rank, self.size, self.interval = rank, size, interval
        self._stopping = threading.Event()
        self.store.set(f'host {rank}', socket.gethostname())
        self.store.set(f'beat {rank}', '0')
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more signs of life."""
        self._stopping.set()
        self._thread.join(timeout=self.interval)

    def missing(self) -> str:
        """Who gives no sign of life, in words; '' if all do. Takes a few seconds, more if the store is out of reach."""
        answer: List[str] = []
        asking = threading.Thread(target=lambda: answer.append(self._ask()), daemon=True)
        asking.start()
        asking.join(timeout=3 * self.interval)
        return answer[0] if answer else self._no_store()

    def _beat(self) -> None:
        count = 0
        while not self._stopping.wait(self.interval):
            count += 1
            try:
                self.store.set(f'beat {self.rank}', str(count))
            except RuntimeError:  # the store is gone: whoever asks for the missing says so
                return

    def _ask(self) -> str:
        try:
            self.store.set(f'left {self.rank}', '1')  # who ends because of the missing one is not missing
            before = self._beats()
            time.sleep(2.2 * self.interval)
            still = [rank for rank, count in self._beats().items() if before[rank] == count and not self._has_left(rank)]
            hosts = {rank: self.store.get(f'host {rank}').decode() for rank in still}
        except RuntimeError:
            return self._no_store()
        return 'no sign of life from ' + ', '.join(f'rank {rank} on {host}' for rank, host in hosts.items()) if hosts else ''

    def _beats(self) -> Dict[int, bytes]:
        return {rank: self.store.get(f'beat {rank}') for rank in range(self.size) if rank != self.rank}

    def _has_left(self, rank: int) -> bool:
        return self.store.check([f'left {rank}'])

    @staticmethod
    def _no_store() -> str:
        return f"no sign of life from the machine of rank 0, {os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"


def connect(timeout: datetime.timedelta) -> Any:
    """A connection of its own to the store at MASTER_ADDR and MASTER_PORT."""
    store = dist.TCPStore(os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']), is_master=False, timeout=timeout)
    return dist.PrefixStore(f"heartbeat of attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
