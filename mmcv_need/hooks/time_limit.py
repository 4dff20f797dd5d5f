"""Ends a run before a time limit ends it; the checkpoint hook then writes what to go on from."""
from __future__ import annotations

import re
import time
from typing import Any, Union

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.checkpoint import saves_at_end
from mmcv_need.hooks.clock import agreed, may_look
from mmcv_need.hooks.hook import HOOKS, Hook

STARTED = time.monotonic()  # this file is imported when a program starts


@HOOKS.register_module()
class TimeLimitHook(Hook):
    """Stops when the program has run for `limit` less `margin`; the run can be resumed from the checkpoint of its end.

    In several processes rank 0's clock counts, at every 50th iteration.

    Args:
        limit: seconds, or hours as a batch system has them: '11:30:00', '1-12:00:00' (a day and a half).
        margin: seconds left for what the program may be doing then: 50 iterations, an evaluation, a checkpoint.
    """

    def __init__(self, limit: Union[str, float], margin: float = 60.0):
        self.seconds = in_seconds(limit)
        self.margin = margin
        if not 0 <= margin < self.seconds:
            raise ConfigError(f'margin: expected seconds of the limit {limit!r} ({self.seconds:g} s), not {margin}')

    def check_run(self, runner: Any) -> None:
        if not saves_at_end(runner):
            raise ConfigError('TimeLimitHook: nothing would be saved to go on from when the time is over; it needs '
                              'checkpoint_config, with save_last=True and save_optimizer=True')

    def after_train_iter(self, runner: Any) -> None:
        if may_look(runner) and agreed(runner, time.monotonic() - STARTED >= self.seconds - self.margin):
            # without the word by which old parsers find MMCV's lines (grep time)
            runner.stop(f'the limit of {self.seconds:g} s is near', resumable=True)


def in_seconds(limit: Union[str, float]) -> float:
    """'1-02:03:04' or '2:03:04' or a number, in seconds.

    Raises:
        ConfigError: none of these, or no time at all.
    """
    found = re.fullmatch(r'(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)', limit) if isinstance(limit, str) else None
    if found:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        limit = ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds
    if isinstance(limit, (str, bool)) or not 0 < limit < float('inf'):
        raise ConfigError(f"limit: expected seconds, or hours such as '11:30:00' or '1-12:00:00', not {limit!r}")
    return float(limit)
