"""Which processor cores are this process's, among the processes of a run on one machine."""
from __future__ import annotations

import os
from typing import List

_shared_by = 1  # processes that run on the cores of this one


def all_cores() -> List[int]:
    """Cores that this process may run on, in order; where the system does not say, as many as there are."""
    if hasattr(os, 'sched_getaffinity'):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def share_of(cores: List[int], local_rank: int, local_size: int) -> List[int]:
    """The cores of one of `local_size` processes: neighbours, so that they stay near one memory; [] if they do not suffice.

    The first processes get one more where the cores do not divide evenly.
    """
    bounds = [rank * (len(cores) // local_size) + min(rank, len(cores) % local_size) for rank in (local_rank, local_rank + 1)]
    return cores[slice(*bounds)]


def bind(local_rank: int, local_size: int) -> None:
    """Keep this process, and the workers that it will start, on its share of the cores; with too few cores, share them all."""
    global _shared_by
    share = share_of(all_cores(), local_rank, local_size)
    if len(all_cores()) >= local_size and hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, share)
    else:
        _shared_by = local_size


def available_cores() -> int:
    """How many cores this process has for threads and workers; 0 if it has less than one to itself."""
    return len(all_cores()) // _shared_by
