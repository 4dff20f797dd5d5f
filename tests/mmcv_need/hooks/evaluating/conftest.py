"""A run of a tiny network that is evaluated, with values that a test chooses."""
from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.agreement import Interrupted
from mmcv_need.checkpoint import read
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import CheckpointHook, EvalHook, Hook
from mmcv_need.optimizer import OptimizerStep

ITERS = 4  # of an epoch


class Watch(Hook):
    """Notes the moments of evaluations, and the values when they are logged."""

    def __init__(self):
        self.moments, self.logged, self.told = [], [], []

    def before_evaluation(self, runner):
        self.moments.append(('before', runner.epoch, runner.iter))

    def after_evaluation(self, runner):
        self.moments.append(('after', runner.epoch, runner.iter))

    def evaluated(self, runner, values):
        best = [name for name in os.listdir(runner.work_dir) if name.startswith('best')]
        self.told.append((runner.epoch, values.get('bbox_mAP'), best))

    def after_train_iter(self, runner):
        if runner.log_buffer.ready:
            self.logged.append(runner.log_buffer.output)
            runner.log_buffer.clear_output()  # as the last logger does

    after_train_epoch = after_resume = after_train_iter


@pytest.fixture
def run(tmp_path, make_logger, tiny_network):
    """Trains and evaluates, and saves after each epoch; what happened.

    Args:
        epochs: in all.
        values: of the evaluations, in turn; Interrupted for one that a signal interrupts.
        resume_from: name of a checkpoint.
        settings: of the EvalHook.
        more: hooks with their priorities.
    """
    def start(epochs, values, resume_from=None, rank=0, folder=tmp_path, checkpoint=None, more=(), **settings):
        logger, watch = make_logger(), Watch()
        model, values, places = tiny_network(), iter(values), []
        optimizer = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1))
        runner = EpochBasedRunner(epochs, model=model, optimizer=optimizer, device=torch.device('cpu'), work_dir=str(folder),
                                  logger=logger)
        runner.rank = rank

        def evaluate(given):
            assert given is runner
            runner.model.eval()
            places.append((runner.epoch, runner.iter))
            value = next(values)
            if value is Interrupted:  # by a signal
                raise value
            return value if isinstance(value, dict) else {'bbox_mAP': value, 'bbox_mAP_50': 1 - value, 'text': '0.1 0.2'}
        hook = EvalHook(evaluate, **settings)
        for each in (CheckpointHook(interval=1, **(checkpoint or {})), hook, watch):
            runner.register_hook(each)
        for each in more:
            runner.register_hook(*each)
        if resume_from:
            runner.resume(*read(str(folder / resume_from)))
        runner.run([[{'x': torch.ones(1, 1)}] * ITERS])
        return SimpleNamespace(names=sorted(os.listdir(folder)), lines=logger.said, watch=watch, places=places, hook=hook,
                               best=[name for name in sorted(os.listdir(folder)) if name.startswith('best')], runner=runner)
    return start
