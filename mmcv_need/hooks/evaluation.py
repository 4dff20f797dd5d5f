"""Evaluates while training."""
from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from mmcv_need.hooks.hook import HOOKS, Hook


@HOOKS.register_module()
class EvalHook(Hook):
    """Calls `evaluate` after epochs and puts its values into the log.

    Args:
        evaluate: takes the runner, gives names and values; called on every rank, values of rank 0 count.
        interval: epochs between evaluations.
        start: the first epoch (counted from 1) after which to evaluate; None means the first multiple of `interval`.
    """

    def __init__(self, evaluate: Callable[[Any], Dict[str, Any]], interval: int = 1, start: Optional[int] = None):
        self.evaluate = evaluate
        self.interval = interval
        self.start = start

    def is_due(self, epoch: int) -> bool:
        """Whether to evaluate after epoch `epoch`, counted from 1."""
        if self.start is None:
            return epoch % self.interval == 0
        return epoch >= self.start and (epoch - self.start) % self.interval == 0

    def after_train_epoch(self, runner: Any) -> None:
        if self.is_due(runner.epoch + 1):
            values = self.evaluate(runner)
            runner.log_buffer.clear_output()  # the epoch's last training line is out already
            runner.log_buffer.output.update(values)
            runner.log_buffer.ready = True
