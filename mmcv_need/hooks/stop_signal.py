"""Ends a run that a signal has asked to stop; the checkpoint hook then writes what to go on from."""
from __future__ import annotations

from typing import Any

from mmcv_need.agreement import LaterAgreement
from mmcv_need.hooks.checkpoint import saves_at_end
from mmcv_need.hooks.hook import Hook


class StopSignalHook(Hook):
    """Looks at `runner.wish` after each iteration, in several processes on all of them together.

    Until the first iteration of this process signals are not its concern. Nor are they in a run that is not saved.
    """

    def __init__(self) -> None:
        self.agreement: Any = None

    def before_train_iter(self, runner: Any) -> None:
        if self.agreement is None:
            self.agreement = LaterAgreement(runner.device)
            runner.wish.begin(saves_at_end(runner))

    def after_train_iter(self, runner: Any) -> None:
        if self.agreement(runner.wish.number is not None) and runner.stopped is None:
            runner.stop(runner.wish.reason, resumable=True)

    def after_run(self, runner: Any) -> None:
        if self.agreement is not None:
            self.agreement.finish()
