"""Measures each iteration: `time` in all, `data_time` of it waiting for the batch. Evaluations between them do not count."""
from __future__ import annotations

import time
from typing import Any

from mmcv_need.hooks.hook import HOOKS, Hook


@HOOKS.register_module()
class IterTimerHook(Hook):

    def __init__(self) -> None:
        self.start = self.interrupted = 0.0

    def before_epoch(self, runner: Any) -> None:
        self.start = time.perf_counter()

    def before_iter(self, runner: Any) -> None:
        runner.log_buffer.update({'data_time': time.perf_counter() - self.start})

    def after_iter(self, runner: Any) -> None:
        now = time.perf_counter()
        runner.log_buffer.update({'time': now - self.start})
        self.start = now

    def before_evaluation(self, runner: Any) -> None:
        self.interrupted = time.perf_counter()

    def after_evaluation(self, runner: Any) -> None:
        self.start += time.perf_counter() - self.interrupted
