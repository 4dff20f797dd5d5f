"""IterTimerHook: `time` is the whole iteration, `data_time` the wait for its batch."""
from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from mmcv_need.hooks import IterTimerHook
from mmcv_need.log_buffer import LogBuffer


@pytest.fixture
def at(monkeypatch):
    """Calls moments of a hook at times of a clock."""
    runner, hook, clock = SimpleNamespace(log_buffer=LogBuffer()), IterTimerHook(), [0.0]
    monkeypatch.setattr(time, 'perf_counter', lambda: clock[0])

    def call(*moments):
        for now, moment in moments:
            clock[0] = now
            getattr(hook, moment)(runner)
        return runner.log_buffer.average(1)
    return call


def test_times_are_of_the_wait_and_of_the_whole_iteration(at):
    at((10.0, 'before_train_epoch'))
    assert at((10.5, 'before_train_iter'), (13.0, 'after_train_iter')) == {'data_time': 0.5, 'time': 3.0}
    assert at((13.25, 'before_train_iter'), (17.0, 'after_train_iter')) == {'data_time': 0.25, 'time': 4.0}


def test_what_lies_between_epochs_does_not_count(at):
    at((10.0, 'before_train_epoch'), (10.5, 'before_train_iter'), (13.0, 'after_train_iter'), (99.0, 'before_train_epoch'))
    assert at((99.5, 'before_train_iter'), (100.0, 'after_train_iter')) == {'data_time': 0.5, 'time': 1.0}


def test_an_evaluation_between_iterations_does_not_count(at):
    at((10.0, 'before_train_epoch'), (10.5, 'before_train_iter'), (13.0, 'after_train_iter'))
    at((13.5, 'before_evaluation'), (53.5, 'after_evaluation'))
    assert at((54.0, 'before_train_iter'), (55.0, 'after_train_iter')) == {'data_time': 1.0, 'time': 2.0}


def test_an_evaluation_before_the_first_epoch_is_no_trouble(at):
    at((3.0, 'before_evaluation'), (5.0, 'after_evaluation'), (10.0, 'before_train_epoch'))
    assert at((10.5, 'before_train_iter'), (13.0, 'after_train_iter')) == {'data_time': 0.5, 'time': 3.0}
