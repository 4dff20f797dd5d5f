"""IterTimerHook: `time` is the whole iteration, `data_time` the wait for its batch."""
from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from mmcv_need.hooks import IterTimerHook
from mmcv_need.log_buffer import LogBuffer


def test_times_are_of_the_wait_and_of_the_whole_iteration(monkeypatch):
    clock = iter([10.0, 10.5, 13.0, 13.25, 17.0])  # epoch, then before and after each of two iterations
    monkeypatch.setattr(time, 'perf_counter', lambda: next(clock))
    runner, hook = SimpleNamespace(log_buffer=LogBuffer()), IterTimerHook()
    hook.before_train_epoch(runner)
    for data_time, whole in ((0.5, 3.0), (0.25, 4.0)):
        hook.before_train_iter(runner)
        hook.after_train_iter(runner)
        runner.log_buffer.average()
        assert runner.log_buffer.output == pytest.approx({'data_time': data_time, 'time': whole})
