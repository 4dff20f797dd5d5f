"""What the hooks that write logs have in common: when there is something to write, and what."""
from __future__ import annotations

from typing import Any, Dict, NamedTuple

from mmcv_need.dist_utils import mean_over_ranks
from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import Hook


class Place(NamedTuple):
    """Where in a run a record belongs: the epoch, counted from 1, and how many iterations of it and of the run are done."""
    epoch: int
    inner: int
    total: int


class LoggerHook(Hook):
    """Calls `log_train` every `interval` iterations, and `log_values` after each evaluation and validation epoch.

    Several of them see the same values, each averaged over its own interval.

    Args:
        interval: iterations between records of training; each averages over the last so many.
        ignore_last: an epoch's iterations after the last full interval get no record; if not, one that averages over them alone
            (MMCV's reaches back over a whole interval).
        reset_flag: of MMCV's configs, where it said which logger empties the buffer. Means nothing here: the last one does.
        by_epoch: whether intervals begin anew with each epoch.
    """

    def __init__(self, interval: int = 10, ignore_last: bool = True, reset_flag: bool = False, by_epoch: bool = True):
        if interval < 1:
            raise ConfigError(f'interval: expected 1 iteration or more between records, not {interval}')
        self.interval = interval
        self.ignore_last = ignore_last
        self.by_epoch = by_epoch

    def log_train(self, runner: Any, place: Place, values: Dict[str, float], steps: int) -> None:
        """Write a record of training: means over the last `steps` iterations. Called on every rank."""
        raise NotImplementedError(f'{type(self).__name__} does not say how to write a record of training')

    def log_values(self, runner: Any, place: Place, values: Dict[str, Any]) -> None:
        """Write a record of an evaluation, or of the losses of a validation epoch. Called on every rank."""
        raise NotImplementedError(f'{type(self).__name__} does not say how to write a record of an evaluation')

    def before_run(self, runner: Any) -> None:
        runner.log_buffer.keep(self.interval)

    def before_epoch(self, runner: Any) -> None:
        runner.log_buffer.begin(runner.mode)

    def after_train_iter(self, runner: Any) -> None:
        place = Place(runner.epoch + 1, runner.inner_iter + 1, runner.iter + 1)
        steps = self.steps_due(place, self.end_of_epoch(runner))
        if steps:
            self.log_train(runner, place, mean_over_ranks(runner.log_buffer.average(steps), runner.device), steps)
        self._log_evaluation(runner, place)

    def after_train_epoch(self, runner: Any) -> None:
        self._log_evaluation(runner, Place(runner.epoch + 1, len(runner.data_loader), runner.iter))

    def before_train_epoch(self, runner: Any) -> None:
        self.before_epoch(runner)
        self._log_evaluation(runner, place_between(runner))

    def after_resume(self, runner: Any) -> None:
        self._log_evaluation(runner, place_between(runner))

    def after_val_epoch(self, runner: Any) -> None:
        values = mean_over_ranks(runner.log_buffer.average(), runner.device)
        self.log_values(runner, Place(runner.epoch, len(runner.data_loader), runner.iter), values)

    def steps_due(self, place: Place, end_of_epoch: bool) -> int:
        """Over how many iterations a record is to be written now; 0 if none is due."""
        done = place.inner if self.by_epoch else place.total
        if done % self.interval and (self.ignore_last or not end_of_epoch):
            return 0
        steps = (done - 1) % self.interval + 1
        return steps if self.ignore_last else min(steps, place.inner)  # the epoch before has had its record

    def _log_evaluation(self, runner: Any, place: Place) -> None:
        """Write the values of an evaluation, or what else a hook has made ready; the last logger takes them away."""
        buffer = runner.log_buffer
        if buffer.ready:
            self.log_values(runner, place, buffer.output)
            if self is [hook for hook in runner.hooks if isinstance(hook, LoggerHook)][-1]:
                buffer.clear_output()


def place_between(runner: Any) -> Place:
    """Where a run is between two iterations: after 0 iterations of epoch 0 when nothing is done."""
    if runner.inner_iter:
        return Place(runner.epoch + 1, runner.inner_iter, runner.iter)
    return Place(runner.epoch, len(runner.data_loader) if runner.epoch else 0, runner.iter)
