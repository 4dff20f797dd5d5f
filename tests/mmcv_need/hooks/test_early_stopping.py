"""EarlyStoppingHook: what counts as better, when patience ends, and that an interruption forgets nothing."""
from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.early_stopping import EarlyStoppingHook
from mmcv_need.hooks.evaluation import EvalHook


class Run:
    def __init__(self):
        self.device, self.rank, self.stops, self.warnings = torch.device('cpu'), 0, [], []
        self.logger = SimpleNamespace(warning=lambda message, *given: self.warnings.append(message % given))

    def stop(self, reason, resumable):
        self.stops.append((reason, resumable))

    def evaluate(self, hook, values):
        """As EvalHook tells the hook of an evaluation; whether the run is to stop."""
        hook.evaluated(self, values)
        return bool(self.stops)


def stops_at(hook, values):
    """Which evaluation, counted from 1, ends the run; None if none does."""
    run = Run()
    for number, value in enumerate(values, 1):
        if run.evaluate(hook, {hook.monitor: value}):
            return number
    return None


@pytest.mark.parametrize('settings, values, expected', [
    (dict(min_delta=0.01, patience=2), [0.1, 0.2, 0.205, 0.209], 4),      # none of them better than 0.2 by 0.01
    (dict(min_delta=0.01, patience=2), [0.1, 0.2, 0.205, 0.215, 0.216, 0.219], 6),
    (dict(min_delta=0.0, patience=2), [0.1, 0.1, 0.1, 0.1], None),        # as good as the best is good enough, without a delta
    (dict(min_delta=0.0, patience=1), [0.5, 0.4], 2),
    (dict(min_delta=0.01, patience=3), [0.9, 0.1, 0.2, 0.3], 4),           # better than the one before does not count
    (dict(min_delta=0.25, patience=1), [0.25, 0.5, 0.75, 0.875], 4),
    (dict(rule='less', min_delta=0.01, patience=2), [0.9, 0.5, 0.495, 0.499], 4),
    (dict(rule='less', min_delta=0.01, patience=2), [0.9, 0.5, 0.495, 0.4, 0.3], None),
    (dict(stopping_threshold=0.3, min_delta=0.0), [0.1, 0.3, 0.31], 3),
    (dict(rule='less', stopping_threshold=0.3, min_delta=0.0), [0.5, 0.3, 0.2], 3),
    (dict(), [0.2, 0.25, 0.29, 0.28, 0.27, 0.26], 6),                     # MMEngine's defaults: by 0.1, in 5 evaluations
    (dict(), [0.2, math.nan], 2), (dict(), [math.inf], 1),
    (dict(check_finite=False, patience=2), [math.nan, 0.2, math.nan, math.nan], 4)])
def test_patience_ends_when_nothing_gets_better(settings, values, expected):
    assert stops_at(EarlyStoppingHook('bbox_mAP', **settings), values) == expected


def test_the_rule_follows_from_the_metrics_name():
    assert stops_at(EarlyStoppingHook('loss', min_delta=0.0, patience=2), [3.0, 2.0, 1.0, 0.5]) is None
    assert stops_at(EarlyStoppingHook('bbox_mAP', min_delta=0.0, patience=2), [3.0, 2.0, 1.0, 0.5]) == 3
    with pytest.raises(ConfigError, match='rule'):
        EarlyStoppingHook('fineness')


def test_the_reason_says_what_was_best_and_that_there_is_nothing_to_resume():
    hook, run = EarlyStoppingHook('bbox_mAP', min_delta=0.01, patience=1), Run()
    run.evaluate(hook, {'bbox_mAP': 0.25})
    run.evaluate(hook, {'bbox_mAP': 0.2})
    assert run.stops == [('bbox_mAP did not get better by 0.01 in 1 evaluations; its best was 0.25', False)]


def test_a_run_that_evaluates_nothing_is_refused():
    hook = EarlyStoppingHook('bbox_mAP')
    with pytest.raises(ConfigError, match='EarlyStoppingHook: nothing is evaluated in this run; it needs `evaluation`'):
        hook.check_run(SimpleNamespace(hooks=[hook]))
    hook.check_run(SimpleNamespace(hooks=[hook, EvalHook(lambda runner: {})]))


@pytest.mark.parametrize('known', [None, ['bbox_mAP'], ['bbox_mAP_50', 'bbox_mAP']])
def test_a_run_whose_evaluation_may_give_the_metric_passes(known):
    hook = EarlyStoppingHook('bbox_mAP')
    hook.check_run(SimpleNamespace(hooks=[hook, EvalHook(None, names=known)]))


def test_a_metric_that_no_evaluation_of_the_run_gives_is_refused_before_it_begins():
    hook = EarlyStoppingHook('bbox_mAP_5')
    with pytest.raises(ConfigError, match=r"'bbox_mAP_5': the evaluation gives no such number\. Did you mean 'bbox_mAP'"):
        hook.check_run(SimpleNamespace(hooks=[hook, EvalHook(None, names=['bbox_mAP'])]))


def test_a_metric_that_is_not_there_is_a_warning_or_an_error():
    run = Run()
    assert not run.evaluate(EarlyStoppingHook('bbox_mAP', patience=1), {'bbox_mAP_50': 0.5, 'AR': 0.1})
    assert run.warnings == ["EarlyStoppingHook: the evaluation gave no 'bbox_mAP'. Did you mean 'bbox_mAP_50'? It is passed "
                            'over']
    with pytest.raises(ConfigError, match=r"EarlyStoppingHook: 'bbox_mAP' is not among the values\. Known: AR\."):
        Run().evaluate(EarlyStoppingHook('bbox_mAP', strict=True), {'AR': 0.5})


@pytest.mark.parametrize('strict', [True, False])
def test_a_metric_that_is_no_number_is_an_error(strict):
    hook = EarlyStoppingHook('bbox_mAP_copypaste', strict=strict)
    with pytest.raises(ConfigError, match=r"EarlyStoppingHook: 'bbox_mAP_copypaste' is '0\.1 0\.2', no number"):
        Run().evaluate(hook, {'bbox_mAP': 0.1, 'bbox_mAP_copypaste': '0.1 0.2'})


VALUES = [0.1, 0.3, 0.25, 0.29, 0.31, 0.3, 0.305, 0.2, 0.1]


@pytest.mark.parametrize('cut', range(1, 7))
def test_an_interrupted_run_stops_where_the_unbroken_one_does(cut):
    settings = dict(monitor='bbox_mAP', min_delta=0.02, patience=4)
    expected = stops_at(EarlyStoppingHook(**settings), VALUES)
    assert expected == 6
    first, run, checkpoint = EarlyStoppingHook(**settings), Run(), {}
    for value in VALUES[:cut - 1]:
        run.evaluate(first, {'bbox_mAP': value})
    first.before_save_checkpoint(run, checkpoint)  # of an epoch, before its evaluation
    run.evaluate(first, {'bbox_mAP': VALUES[cut - 1]})
    second, run = EarlyStoppingHook(**settings), Run()
    second.after_load_checkpoint(run, checkpoint)
    stops = [run.evaluate(second, {'bbox_mAP': value}) for value in VALUES[cut - 1:]]  # it makes up for that evaluation
    assert cut + stops.index(True) == expected


def test_two_metrics_are_remembered_apart():
    hooks, checkpoint = [EarlyStoppingHook('bbox_mAP'), EarlyStoppingHook('loss')], {}
    for hook, value in zip(hooks, (0.5, 7.0)):
        Run().evaluate(hook, {hook.monitor: value})
        hook.before_save_checkpoint(Run(), checkpoint)
    for hook in hooks:
        again = EarlyStoppingHook(hook.monitor)
        again.after_load_checkpoint(Run(), checkpoint)
        assert (again.best, again.waited) == (hook.best, 0)


def test_a_checkpoint_of_before_knows_nothing():
    hook = EarlyStoppingHook('bbox_mAP')
    hook.after_load_checkpoint(Run(), {'meta': {}})
    assert (hook.best, hook.waited) == (None, 0)


@pytest.mark.parametrize('settings', [dict(patience=0), dict(min_delta=-0.1)])
def test_what_makes_no_sense_is_refused(settings):
    with pytest.raises(ConfigError, match='min_delta of 0 or more and patience of 1 or more'):
        EarlyStoppingHook('bbox_mAP', **settings)
