"""EvalHook: when it evaluates, and where its values go."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmcv_need.hooks import EvalHook
from mmcv_need.log_buffer import LogBuffer


@pytest.mark.parametrize('interval, start, epochs', [
    (1, None, [1, 2, 3, 4, 5, 6, 7, 8]),
    (2, None, [2, 4, 6, 8]),
    (3, None, [3, 6]),
    (9, None, []),
    (1, 5, [5, 6, 7, 8]),
    (2, 5, [5, 7]),
    (3, 1, [1, 4, 7]),
    (2, 0, [2, 4, 6, 8]),
    (1, 9, []),
])
def test_it_is_due_every_interval_from_start_on(interval, start, epochs):
    hook = EvalHook(lambda runner: {}, interval, start)
    assert [epoch for epoch in range(1, 9) if hook.is_due(epoch)] == epochs


def test_values_go_to_the_log_in_place_of_the_last_training_line():
    runner = SimpleNamespace(epoch=1, log_buffer=LogBuffer())
    runner.log_buffer.update({'loss': 1.0})
    runner.log_buffer.average()
    EvalHook(lambda given: {'bbox_mAP': 0.25, 'same': given is runner}, interval=2).after_train_epoch(runner)
    assert runner.log_buffer.output == {'bbox_mAP': 0.25, 'same': True} and runner.log_buffer.ready


def test_nothing_happens_in_the_other_epochs():
    runner = SimpleNamespace(epoch=0, log_buffer=LogBuffer())
    EvalHook(lambda runner: pytest.fail('not due'), interval=2).after_train_epoch(runner)
    assert not runner.log_buffer.ready
