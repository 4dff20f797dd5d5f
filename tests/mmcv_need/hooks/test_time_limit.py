"""TimeLimitHook: the run ends before the limit, and the checkpoint hook saves it."""
from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.hooks import CheckpointHook, time_limit
from mmcv_need.hooks.time_limit import TimeLimitHook


@pytest.fixture
def run(monkeypatch):
    """A run in which each iteration takes 10 seconds, and the program took 100 before it."""
    clock, calls = [1100.0], []
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    monkeypatch.setattr(time_limit, 'STARTED', 1000.0)  # whole numbers, whose sums are exact
    runner = SimpleNamespace(epoch=0, iter=0, inner_iter=0, world_size=1, device=torch.device('cpu'), calls=calls)
    runner.stop = lambda reason, resumable: calls.append((reason, resumable))

    def iterate(hook, most):
        for _ in range(most):
            clock[0] += 10.0
            hook.after_train_iter(runner)
            runner.iter += 1
            runner.epoch, runner.inner_iter = divmod(runner.iter, 7)
            if calls:
                return runner.iter
        return None
    runner.iterate = iterate
    return runner


@pytest.mark.parametrize('limit, margin, iteration', [
    (200, 0.0, 10), (201, 0.0, 11), ('0:03:20', 0.0, 10), (300, 60.0, 14), ('0:05:00', 60.0, 14), ('0:05:00', 55.0, 15)])
def test_the_run_ends_when_the_program_has_run_for_so_long(run, limit, margin, iteration):
    assert run.iterate(TimeLimitHook(limit, margin), 40) == iteration
    assert len(run.calls) == 1


def test_the_run_is_said_to_be_resumable(run):
    run.iterate(TimeLimitHook(210, 0.0), 40)
    (reason, resumable), = run.calls
    assert reason == 'the limit of 210 s is near' and resumable is True  # old parsers look for `time`


@pytest.mark.parametrize('others', [[], [CheckpointHook(save_last=False)], [CheckpointHook(save_optimizer=False)]])
def test_a_run_that_would_lose_its_work_is_refused(others):
    with pytest.raises(ConfigError, match='nothing would be saved to go on from when the time is over'):
        TimeLimitHook(300).check_run(SimpleNamespace(hooks=others))


def test_the_checkpoint_hook_saves_it():
    TimeLimitHook(300).check_run(SimpleNamespace(hooks=[CheckpointHook()]))


def test_without_need_nothing_happens(run):
    assert run.iterate(TimeLimitHook('11:30:00'), 40) is None


def test_several_processes_look_every_fiftieth_iteration_only(run):
    run.world_size = 2
    assert run.iterate(TimeLimitHook(200, 0.0), 120) == 50


@pytest.mark.parametrize('limit, seconds', [
    (3600, 3600.0), (0.5, 0.5), ('11:30:00', 41400.0), ('0:00:01', 1.0), ('100:00:00', 360000.0), ('1-12:00:00', 129600.0)])
def test_limits_are_seconds_or_what_batch_systems_write(limit, seconds):
    assert time_limit.in_seconds(limit) == seconds


@pytest.mark.parametrize('limit', ['11:30', 'soon', '', '3600', '1:60:00', '-1:00:00', 0, -5, float('nan'), float('inf'), True])
def test_anything_else_is_refused(limit):
    with pytest.raises(ConfigError, match=r"limit: expected seconds, or hours such as '11:30:00'"):
        time_limit.in_seconds(limit)


@pytest.mark.parametrize('margin', [-1.0, 60.0, 61.0])
def test_the_margin_is_a_part_of_the_limit(margin):
    with pytest.raises(ConfigError, match='margin: expected seconds of the limit'):
        TimeLimitHook('0:01:00', margin)
