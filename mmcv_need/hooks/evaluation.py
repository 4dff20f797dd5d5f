"""Evaluates while training."""
from __future__ import annotations

import warnings
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from mmcv_need.agreement import Interrupted
from mmcv_need.errors import ConfigError
from mmcv_need.hooks.best_checkpoint import BestCheckpoint
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.metric_rules import Keys
from mmcv_need.place_in_run import PlaceInRun


@HOOKS.register_module()
class EvalHook(Hook):
    """Calls `evaluate` after epochs or iterations, puts its values into the log, and keeps the best checkpoint.

    The checkpoint of an epoch is written before its evaluation: a run that goes on from it evaluates first. An evaluation that
    a signal interrupts is left, and is done anew by who goes on.

    Args:
        evaluate: takes the runner, gives names and values; called on every rank, values of rank 0 count. May
            raise Interrupted.
        start: the first epoch (or iteration), counted from 1, after which to evaluate; None means the first multiple of
            `interval`; 0 evaluates before training, too.
        interval: epochs (or iterations) between evaluations.
        by_epoch: whether `start` and `interval` count epochs.
        save_best: the metric whose best evaluation's checkpoint is kept; 'auto' for the first that there is, None for none.
        rule: of that metric: 'greater' or 'less' is better; None goes by its name.
        greater_keys, less_keys: names, or parts of names, of metrics of which greater or less is better.
        names: of the numbers that an evaluation gives, where that is known.
    """

    def __init__(self, evaluate: Callable[[Any], Dict[str, Any]], start: Optional[int] = None, interval: int = 1,
                 by_epoch: bool = True, save_best: Optional[str] = None, rule: Optional[str] = None,
                 greater_keys: Keys = None, less_keys: Keys = None, names: Optional[Sequence[str]] = None):
        if interval < 1:
            raise ConfigError(f'interval must be at least 1, not {interval}')
        if start is not None and start < 0:
            warnings.warn(f'evaluation.start is {start}; evaluating from 0 on', UserWarning, stacklevel=2)
            start = 0
        self.evaluate = evaluate
        self.start = start
        self.interval = interval
        self.by_epoch = by_epoch
        self.names = names
        self.best = None if save_best is None else BestCheckpoint(save_best, rule, greater_keys, less_keys)
        self.last = (-1, 0)  # epochs, and iterations of the next, that were done at the last evaluation

    def is_due(self, number: int) -> bool:
        """Whether to evaluate after epoch (or iteration) `number`, counted from 1."""
        if self.start is None:
            return number % self.interval == 0
        return number >= self.start and (number - self.start) % self.interval == 0

    def before_train_epoch(self, runner: Any) -> None:
        if self.start == 0 and runner.iter == 0 and self.last < (0, 0):
            self._evaluate(runner, epoch=0, iteration=0, inner_iter=0)

    def after_train_iter(self, runner: Any) -> None:
        if not self.by_epoch and self.is_due(runner.iter + 1):
            self._evaluate(runner, epoch=runner.epoch, iteration=runner.iter + 1, inner_iter=runner.inner_iter + 1)

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch and self.is_due(runner.epoch + 1):
            self._evaluate(runner, epoch=runner.epoch + 1, iteration=runner.iter, inner_iter=0)

    def after_resume(self, runner: Any) -> None:
        done = runner.iter if not self.by_epoch else 0 if runner.inner_iter else runner.epoch
        if done and self.is_due(done) and self.last < self._done(runner, runner.epoch, runner.inner_iter):
            place = {'epoch': runner.epoch, 'iteration': runner.iter, 'inner_iter': runner.inner_iter}
            runner.epoch -= self.by_epoch  # as it is at the end of an epoch, before that counts
            self._evaluate(runner, **place)
            runner.epoch += self.by_epoch

    def before_save_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        best = self.best.state(runner) if self.best else None
        checkpoint['evaluation'] = {'evaluated': list(self.last), 'best': best}

    def after_load_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        state = checkpoint.get('evaluation') or {}
        evaluated = state.get('evaluated')
        self.last = tuple(evaluated) if isinstance(evaluated, list) else (-1, 0)
        if self.best:
            self.best.load_state(runner, state.get('best') or {}, checkpoint)

    def _evaluate(self, runner: Any, **place: int) -> None:
        if runner.suspended:
            return  # who goes on evaluates first
        training = runner.model.training
        runner.call_hook('before_evaluation')
        try:
            values = self.evaluate(runner)
        except Interrupted:
            runner.stop(runner.wish.reason, resumable=True)
            values = {}
        runner.model.train(training)
        if runner.suspended:
            runner.call_hook('after_evaluation')
            return
        runner.log_buffer.clear_output()
        runner.log_buffer.output.update(values)
        runner.log_buffer.ready = True
        runner.call_hook('after_evaluation')
        if self.best:
            self.best.offer(runner, values, 'epoch' if self.by_epoch else 'iter', **place)
        # Only now: who goes on from the best checkpoint evaluates for the other hooks.
        self.last = self._done(runner, place['epoch'], place['inner_iter'])
        runner.call_hook('evaluated', values)

    @staticmethod
    def _done(runner: Any, epoch: int, inner_iter: int) -> Tuple[int, int]:
        return PlaceInRun(epoch, runner.iter, inner_iter, len(runner.data_loader)).done
