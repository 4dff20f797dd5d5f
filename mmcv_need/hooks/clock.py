"""Decisions by the clock: rank 0's, for all processes, at iterations at which they can afford to agree."""
from __future__ import annotations

from typing import Any

from mmcv_need.dist_utils import broadcast_int

INTERVAL = 50  # iterations between agreements of several processes; one process looks at every iteration


def may_look(runner: Any) -> bool:
    """Whether the clock counts at the current iteration; the same on every rank."""
    return runner.world_size == 1 or (runner.iter + 1) % INTERVAL == 0


def agreed(runner: Any, late: bool) -> bool:
    """What rank 0's clock says, on every rank."""
    return bool(broadcast_int(int(late), runner.device))
