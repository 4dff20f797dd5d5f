"""Ends a run that gets no better."""
from __future__ import annotations

import math
from functools import partial
from typing import Any, Dict, Optional

from mmcv_need.dist_utils import broadcast_int, on_rank_0
from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.hooks.evaluation import EvalHook
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.metric_rules import better_rule, metric_value


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """Stops after `patience` evaluations in a row that were not better than the best by `min_delta` or more.

    Its priority does not matter. What it has seen goes into checkpoints.

    Args:
        monitor: name of the metric, such as 'bbox_mAP'.
        rule: 'greater' or 'less' is better; None leaves it to the metric's name.
        min_delta: what counts as better. The default is MMEngine's, and ten points of an mAP: 0.001 may be what you want.
        strict: whether an evaluation without the metric is an error; otherwise a warning.
        check_finite: whether to stop when the metric is NaN or infinite.
        patience: evaluations without a better one.
        stopping_threshold: stop once the metric is better than this.
    """

    def __init__(self, monitor: str, rule: Optional[str] = None, min_delta: float = 0.1, strict: bool = False,
                 check_finite: bool = True, patience: int = 5, stopping_threshold: Optional[float] = None):
        if min_delta < 0 or patience < 1:
            raise ConfigError(f'expected min_delta of 0 or more and patience of 1 or more, not {min_delta} and {patience}')
        self.monitor = monitor
        self.sign = 1 if better_rule(monitor, rule) == 'greater' else -1  # times this, greater is better
        self.min_delta = min_delta
        self.strict = strict
        self.check_finite = check_finite
        self.patience = patience
        self.threshold = stopping_threshold
        self.best: Optional[float] = None
        self.waited = 0

    def check_run(self, runner: Any) -> None:
        evaluations = [hook for hook in runner.hooks if isinstance(hook, EvalHook)]
        if not evaluations:
            raise ConfigError('EarlyStoppingHook: nothing is evaluated in this run; it needs `evaluation` and `data.val`, '
                              'and no --no-validate')
        known = evaluations[0].names
        if known is not None and self.monitor not in known:
            raise ConfigError(f"EarlyStoppingHook: monitor '{self.monitor}': the evaluation gives no such number."
                              f'{did_you_mean(self.monitor, known)}')

    def evaluated(self, runner: Any, values: Dict[str, Any]) -> None:
        """Judge an evaluation. Rank 0 has the values and decides for all."""
        reason = on_rank_0(partial(self.reason_to_stop, runner, values))
        if broadcast_int(int(reason is not None), runner.device):
            runner.stop(reason or f'{self.monitor} gets no better', resumable=False)

    def before_save_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        checkpoint.setdefault('early_stopping', {})[self.monitor] = {'best': self.best, 'waited': self.waited}

    def after_load_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        state = checkpoint.get('early_stopping', {}).get(self.monitor, {})
        self.best, self.waited = state.get('best'), state.get('waited', 0)

    def reason_to_stop(self, runner: Any, values: Dict[str, Any]) -> Optional[str]:
        """Why the values of an evaluation end the run, or None."""
        if self.monitor not in values and not self.strict:
            runner.logger.warning("EarlyStoppingHook: the evaluation gave no '%s'.%s It is passed over", self.monitor,
                                  did_you_mean(self.monitor, values))
            return None
        value = metric_value(self.monitor, values, 'EarlyStoppingHook')
        if self.check_finite and not math.isfinite(value):
            return f'{self.monitor} is {value}'
        if self.threshold is not None and self.sign * value > self.sign * self.threshold:
            return f'{self.monitor} is {value:.4f}, better than {self.threshold}'
        if not math.isnan(value) and (self.best is None or self.sign * (value - self.best) >= self.min_delta):
            self.best, self.waited = value, 0
            return None
        self.waited += 1
        if self.waited < self.patience:
            return None
        return f'{self.monitor} did not get better by {self.min_delta} in {self.waited} evaluations; its best was {self.best}'
