"""What one rank wants becomes known to all of them at the same iteration, or at the same point of long work between two."""
from __future__ import annotations

import time
from typing import Any, Callable, Iterable, Iterator, Optional

import torch

from mmcv_need.dist_utils import get_dist_info, has_been_told, max_over_ranks, start_sum_over_ranks, tell_all
from mmcv_need.optim.flags import read_later
from mmcv_need.stop_signals import StopWish

STOP = 'stop'  # what a rank tells the others
LOOK = 0.5  # seconds between two looks at what others tell


class Interrupted(Exception):
    """Long work was left, on all ranks, because one was asked to stop."""


class LaterAgreement:
    """Whether any rank has said yes, on every rank at the same call, two calls later. No host waits for a device.

    Alone, there is nothing to wait for, and the answer is that of the call itself.

    A call starts the sum of the ranks' answers on the device; the next one starts its copy to the host, and the one after
    that reads it.

    Args:
        device: of this process.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self._sum: Optional[Callable[[], torch.Tensor]] = None
        self._read: Callable[[], bool] = bool

    def __call__(self, yes: bool) -> bool:
        if get_dist_info()[1] == 1:
            return yes
        agreed = self._read()
        if self._sum is not None:
            self._read = read_later(self._sum() > 0)
        self._sum = start_sum_over_ranks(torch.full((), int(yes), dtype=torch.int32, device=self.device))
        return agreed

    def finish(self) -> None:
        """Leave nothing on its way, at the end of a run."""
        if self._sum is not None:
            self._sum()
        self._sum, self._read = None, bool


def until_asked(batches: Iterable[Any], wish: StopWish, device: torch.device) -> Iterator[Any]:
    """The batches, of which every rank has its own, until a rank is asked to stop.

    Args:
        batches: for work that waits for no other rank.
        wish: of this process.
        device: of this process.

    Raises:
        Interrupted: on every rank, when each is done with its batch, or with all.
    """
    asked = _Asked(wish)
    left = asked()
    for batch in () if left else batches:
        yield batch
        left = asked()
        if left:
            break
    if max_over_ranks(int(left), device):
        raise Interrupted


class _Asked:
    """Whether this rank was asked to stop, which it tells the others, or another one has told so."""

    def __init__(self, wish: StopWish):
        self.wish = wish
        self.looked = time.monotonic()

    def __call__(self) -> bool:
        if self.wish.number is not None:
            tell_all(STOP)
            return True
        if time.monotonic() - self.looked < LOOK:
            return False
        self.looked = time.monotonic()
        return has_been_told(STOP)
