"""How far a download is: a bar on a terminal, elsewhere a line now and then; both on stderr."""
from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from mmcv_need.errors import escaped

EVERY = 10.0  # seconds between two lines


def say(message: str) -> None:
    """A line on stderr."""
    print(escaped(message), file=sys.stderr, flush=True)


@contextmanager
def progress(name: str) -> Iterator[Callable[[int, Optional[int]], None]]:
    """Within this, a function to tell how many bytes are here, and of how many; None where nobody knows.

    Args:
        name: of the file.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(TextColumn('{task.description}'), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                      TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task(escaped(name).replace('[', r'\['), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield lines(name, time.monotonic)


def lines(name: str, clock: Callable[[], float]) -> Callable[[int, Optional[int]], None]:
    """The function for where there is no terminal.

    Args:
        name: of the file.
        clock: gives seconds.
    """
    last, before = clock(), 0

    def tell(done: int, total: Optional[int]) -> None:
        nonlocal last, before
        passed = clock() - last
        if passed >= EVERY:
            rate = max(done - before, 0) / passed
            share = f' of {total / 1e6:.1f} MB ({100 * done / total:.0f} %)' if total else ' MB'
            say(f'downloading {name}: {done / 1e6:.1f}{share}, {rate / 1e6:.1f} MB/s')
            last, before = clock(), done
    return tell
