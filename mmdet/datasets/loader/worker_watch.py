"""Nobody waits for a loader's worker for ever."""
from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import Any, Iterator, Optional, Sequence


class WorkerWatch:
    """Ends workers when a batch has been waited for too long: whoever waits gets an error then.

    The `timeout` of torch's loader covers a part of its waiting: when a worker has announced a batch, it is asked for the
    memory of it, without a limit.

    Args:
        workers: of the loader.
        patience: seconds to wait for a batch.

    Attributes:
        stuck: whether that was too long.
    """

    def __init__(self, workers: Sequence[Any], patience: float):
        self.workers, self.patience, self.stuck = workers, patience, False
        self._since: Optional[float] = None
        self._done = threading.Event()
        if workers:
            threading.Thread(target=self._watch, daemon=True).start()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within this, a batch is waited for."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def stop(self) -> None:
        self._done.set()

    def __str__(self) -> str:
        pids = ' or '.join(str(worker.pid) for worker in self.workers)
        return f'(pid {pids}) gave nothing for {self.patience:g} s: it was stopped, or its storage does not answer'

    def _watch(self) -> None:
        while not self._done.wait(self.patience / 20):
            since = self._since
            if since is not None and time.monotonic() - since > self.patience:
                self.stuck = True
                for worker in self.workers:
                    with suppress(OSError):  # it has ended meanwhile
                        worker.kill()
                return
