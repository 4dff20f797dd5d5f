"""The momentum of the averages of weights, and the arguments that decide it."""
from __future__ import annotations

import pytest

from mmcv_need.errors import ConfigError
from mmcv_need.hooks import HOOKS
from mmcv_need.hooks.ema import EMAHook, ExpMomentumEMAHook, LinearMomentumEMAHook
from mmcv_need.registry import build


@pytest.mark.parametrize('hook, moments', [
    (EMAHook(momentum=0.1), {0: 1 / 100, 1: 2 / 101, 9: 10 / 109, 10: 0.1, 1000: 0.1}),
    (LinearMomentumEMAHook(momentum=0.1), {0: 1 / 100, 9: 10 / 109, 10: 0.1}),
    (EMAHook(momentum=0.1, interval=2), {0: 0.01, 1: 0.01, 50: 0.01}),
    (ExpMomentumEMAHook(momentum=0.5, total_iter=1), {0: 0.5 + 0.5 * 0.36787944117144233, 1: 0.5 + 0.5 * 0.1353352832366127})])
def test_the_momentum_of_an_iteration_is_the_table(hook, moments):
    for iteration, momentum in moments.items():
        assert hook.momentum_at(iteration) == pytest.approx(momentum, rel=1e-12)


def test_configs_find_the_hooks_by_their_names():
    for name, made in (('EMAHook', EMAHook), ('ExpMomentumEMAHook', ExpMomentumEMAHook),
                       ('LinearMomentumEMAHook', LinearMomentumEMAHook)):
        assert type(build(dict(type=name, momentum=0.0001, interval=2, resume_from=None), HOOKS)) is made


@pytest.mark.parametrize('make, words', [
    (lambda: EMAHook(momentum=0.0), 'not 0.0 and 1'), (lambda: EMAHook(momentum=1.0), '0 < momentum < 1'),
    (lambda: EMAHook(interval=0), 'not 0.0002 and 0'), (lambda: LinearMomentumEMAHook(interval=-1), 'interval >= 1'),
    (lambda: ExpMomentumEMAHook(momentum=2.0), 'not 2.0'), (lambda: ExpMomentumEMAHook(total_iter=0), 'total_iter')])
def test_arguments_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
