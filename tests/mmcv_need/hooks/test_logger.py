"""LoggerHook: when a record is due, over which iterations, and that several loggers see the same."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import Hook
from mmcv_need.hooks.logger import LoggerHook
from mmcv_need.log_buffer import LogBuffer


class Recording(LoggerHook):
    """Remembers what it is asked to write."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.train, self.values = [], []

    def log_train(self, runner, place, values, steps):
        self.train.append((*place, values['loss'], steps))

    def log_values(self, runner, place, values):
        self.values.append((*place, dict(values)))


class Run:
    """As much of a runner as a logger looks at. The loss of an iteration is its number in the run, counted from 1."""

    def __init__(self, *hooks, iterations=5):
        self.hooks, self.device, self.log_buffer = hooks, torch.device('cpu'), LogBuffer()
        self.train_loader = self.data_loader = range(iterations)
        self.epoch = self.iter = self.inner_iter = 0
        self.mode = 'train'

    def call(self, moment):
        for hook in self.hooks:
            getattr(hook, moment)(self)

    def start(self):
        self.call('before_run')
        return self

    def epochs(self, number, evaluate=lambda run: None):
        for _ in range(number):
            self.mode, self.data_loader = 'train', self.train_loader
            self.call('before_train_epoch')
            while self.inner_iter < len(self.data_loader):
                self.log_buffer.update({'data_time': 0.0})
                self.log_buffer.update({'loss': float(self.iter + 1)})
                self.log_buffer.update({'time': 0.0})
                self.call('after_train_iter')
                self.iter, self.inner_iter = self.iter + 1, self.inner_iter + 1
            evaluate(self)
            self.call('after_train_epoch')
            self.epoch, self.inner_iter = self.epoch + 1, 0
        return self

    def validate(self, *losses):
        self.mode, self.data_loader = 'val', losses
        self.call('before_val_epoch')
        for loss in losses:
            self.log_buffer.update({'loss': loss})
        self.call('after_val_epoch')


def evaluate(run, **values):
    """What EvalHook does."""
    run.log_buffer.clear_output()
    run.log_buffer.output.update(values)
    run.log_buffer.ready = True


@pytest.mark.parametrize('settings, expected', [  # epoch, inner, total, mean of the losses 1, 2, 3, ..., iterations
    (dict(interval=2), [(1, 2, 2, 1.5, 2), (1, 4, 4, 3.5, 2), (2, 2, 7, 6.5, 2), (2, 4, 9, 8.5, 2)]),
    (dict(interval=2, ignore_last=False), [(1, 2, 2, 1.5, 2), (1, 4, 4, 3.5, 2), (1, 5, 5, 5.0, 1),
                                           (2, 2, 7, 6.5, 2), (2, 4, 9, 8.5, 2), (2, 5, 10, 10.0, 1)]),
    (dict(interval=5, ignore_last=False), [(1, 5, 5, 3.0, 5), (2, 5, 10, 8.0, 5)]),
    (dict(interval=9, ignore_last=False), [(1, 5, 5, 3.0, 5), (2, 5, 10, 8.0, 5)]),
    (dict(interval=9), []),
    (dict(interval=4, by_epoch=False), [(1, 4, 4, 2.5, 4), (2, 3, 8, 6.5, 4)]),
    (dict(interval=10, by_epoch=False), [(2, 5, 10, 5.5, 10)]),
    (dict(interval=4, by_epoch=False, ignore_last=False), [(1, 4, 4, 2.5, 4), (1, 5, 5, 5.0, 1),
                                                           (2, 3, 8, 7.0, 3), (2, 5, 10, 9.5, 2)]),
    (dict(interval=4, reset_flag=True), [(1, 4, 4, 2.5, 4), (2, 4, 9, 7.5, 4)])])
def test_a_record_averages_the_iterations_since_the_one_before(settings, expected):
    hook = Recording(**settings)
    Run(hook).start().epochs(2)
    assert hook.train == expected


def test_loggers_of_different_intervals_each_have_their_own():
    intervals = (3, 2, 5, 3)
    together = [Recording(interval=interval, by_epoch=False) for interval in intervals]
    Run(*together, iterations=30).start().epochs(1)
    for interval, hook in zip(intervals, together):
        alone = Recording(interval=interval, by_epoch=False)
        Run(alone, iterations=30).start().epochs(1)
        assert hook.train == alone.train and len(hook.train) == 30 // interval


def test_all_loggers_see_each_evaluation_once():
    hooks = [Recording(interval=2, reset_flag=flag) for flag in (True, False, True)]
    Run(*hooks).start().epochs(3, lambda run: run.epoch == 1 or evaluate(run, mAP=0.1 * run.epoch, text='0.1'))
    for hook in hooks:
        assert hook.values == [(1, 5, 5, {'mAP': 0.0, 'text': '0.1'}), (3, 5, 15, {'mAP': 0.2, 'text': '0.1'})]


class Telling(Hook):
    """Puts a value of its own into the log every other iteration, as hooks written for MMCV do."""

    def after_train_iter(self, runner):
        if self.every_n_iters(runner, 2):
            runner.log_buffer.output['x'] = float(runner.iter)
            runner.log_buffer.ready = True


def test_what_a_hook_says_again_and_again_is_written_each_time_and_without_what_was_said_before():
    hooks = [Recording(interval=2), Recording(interval=3)]
    Run(Telling(), *hooks).start().epochs(1, lambda run: evaluate(run, mAP=0.5)).epochs(1)
    for hook in hooks:
        assert hook.values == [(1, 2, 2, {'x': 1.0}), (1, 4, 4, {'x': 3.0}), (1, 5, 5, {'mAP': 0.5}),
                               (2, 1, 6, {'x': 5.0}), (2, 3, 8, {'x': 7.0}), (2, 5, 10, {'x': 9.0})]


def test_what_comes_after_the_loggers_is_written_when_they_look_next():
    hooks = [Recording(interval=2), Recording(interval=3)]
    Run(*hooks, Telling()).start().epochs(1)
    for hook in hooks:
        assert hook.values == [(1, 3, 3, {'x': 1.0}), (1, 5, 5, {'x': 3.0})]


def test_an_evaluation_amid_an_epoch_is_written_at_its_iteration():
    hook, run = Recording(interval=100), Run()

    class Evaluating(Hook):
        def after_train_iter(self, runner):
            if self.every_n_iters(runner, 4):
                evaluate(runner, mAP=float(runner.iter))
    run.hooks = (Evaluating(), hook)
    run.start().epochs(2)
    assert hook.values == [(1, 4, 4, {'mAP': 3.0}), (2, 3, 8, {'mAP': 7.0})]


def test_an_evaluation_that_is_made_up_for_belongs_to_the_epoch_before():
    hook, run = Recording(), Run()
    run.hooks, run.epoch, run.iter = (hook,), 2, 10
    run.start()
    evaluate(run, mAP=0.5)
    run.call('after_resume')
    run.epochs(1)
    assert hook.values == [(2, 5, 10, {'mAP': 0.5})]


def test_an_evaluation_before_training_belongs_to_no_epoch():
    hook, run = Recording(), Run()

    class Evaluating(Hook):
        def before_train_epoch(self, runner):
            if not runner.iter:
                evaluate(runner, mAP=0.0)
    run.hooks = (Evaluating(), hook)
    run.start().epochs(2)
    assert hook.values == [(0, 0, 0, {'mAP': 0.0})]


def test_an_evaluation_that_is_made_up_for_amid_an_epoch_belongs_to_its_iteration():
    hook, run = Recording(), Run()
    run.hooks, run.epoch, run.iter, run.inner_iter = (hook,), 2, 13, 3
    run.start()
    evaluate(run, mAP=0.5)
    run.call('after_resume')
    run.epochs(1)
    assert hook.values == [(3, 3, 13, {'mAP': 0.5})]


def test_a_validation_epochs_losses_are_averaged_over_all_of_it():
    hooks = [Recording(interval=2), Recording(interval=100)]
    run = Run(*hooks).start().epochs(1)
    run.validate(3.0, 4.0, 8.0)
    run.validate(6.0)
    for hook in hooks:
        assert hook.values == [(1, 3, 5, {'loss': 5.0}), (1, 1, 5, {'loss': 6.0})]


def test_a_validation_epoch_leaves_an_interval_across_epochs_alone():
    hook = Recording(interval=8, by_epoch=False)
    run = Run(hook).start().epochs(1)
    run.validate(1e9, 1e9)
    run.epochs(1)
    assert hook.train == [(2, 3, 8, 4.5, 8)]


@pytest.mark.parametrize('cut', range(1, 12))
def test_a_resumed_run_writes_what_the_unbroken_one_does(cut):
    unbroken, resumed = Recording(interval=4), Recording(interval=4)
    states = {}

    class Saving(Hook):
        def after_train_iter(self, runner):
            states[runner.iter + 1] = runner.log_buffer.state()
    Run(Saving(), unbroken, iterations=12).start().epochs(1)
    run = Run(resumed, iterations=12)
    run.iter = run.inner_iter = cut
    run.log_buffer.load_state(states[cut])
    run.start().epochs(1)
    assert resumed.train == [record for record in unbroken.train if record[1] > cut]


@pytest.mark.parametrize('interval', [0, -1])
def test_an_interval_of_nothing_is_refused(interval):
    with pytest.raises(ConfigError, match=f'interval: expected 1 .*, not {interval}'):
        LoggerHook(interval=interval)


def test_a_logger_of_ones_own_has_to_say_how_it_writes():
    with pytest.raises(NotImplementedError, match='record of training'):
        Run(LoggerHook(interval=1)).start().epochs(1)
