"""A run of a tiny network that saves checkpoints, one minute an iteration."""
from __future__ import annotations

import os

import pytest
import torch

from mmcv_need.checkpoint import find_latest, read
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import CheckpointHook, Hook
from mmcv_need.hooks import checkpoint as module
from mmcv_need.optimizer import OptimizerStep

ITERS = 4  # of an epoch


class Loader(list):
    """The batches of an epoch, or what a resumed run still has to do of it."""
    done = 0

    def __iter__(self):
        rest, self.done = self[self.done:], 0
        return iter(rest)


class Clock:
    """Minutes that pass in training, one an iteration."""
    minute = 0

    def monotonic(self):
        return 60.0 * self.minute


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, 'time', clock)
    return clock


@pytest.fixture
def run(tmp_path, clock, make_logger, tiny_network):
    """Runs some epochs, one minute an iteration; returns the names in the work directory and the lines logged.

    Args:
        epochs: in all.
        others: settings of further CheckpointHooks.
        first: a hook before them.
        after: a function that is called with the runner after each iteration, once the checkpoint hook is done.
        resume_from: name of a checkpoint there, or '' for the newest.
        settings: of the CheckpointHook.
    """
    def start(epochs, after=None, resume_from=None, max_steps=None, rank=0, world_size=1, folder=tmp_path, others=(),
              first=None, **settings):
        logger, model = make_logger(), tiny_network()
        optimizer = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        runner = EpochBasedRunner(epochs, model=model, optimizer=optimizer, device=torch.device('cpu'), work_dir=str(folder),
                                  logger=logger, meta={'seed': 3, 'CLASSES': ['a', 'b']}, max_steps=max_steps)
        runner.rank, runner.world_size = rank, world_size
        if first:
            runner.register_hook(first)
        for own in (settings, *others):
            runner.register_hook(CheckpointHook(**own))

        class After(Hook):
            def between_iters(self, runner):
                clock.minute += 1
                if after:
                    after(runner)
        runner.register_hook(After())
        loader = Loader([{'x': torch.ones(1, 1)}] * ITERS)
        if resume_from is not None:
            runner.resume(*(read(str(folder / resume_from)) if resume_from else find_latest(str(folder))))
            loader.done = runner.inner_iter
        runner.run([loader])
        return sorted(os.listdir(folder)), logger.said
    return start
