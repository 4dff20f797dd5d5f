"""Learning-rate schedules: MMCV 1.2.7's numbers, and nothing remembered between iterations."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.hooks import FixedLrUpdaterHook, StepLrUpdaterHook
from mmcv_need.hooks.schedules.lr_updater import LrUpdaterHook

SSD = dict(step=[16, 22], warmup='linear', warmup_iters=500, warmup_ratio=0.001)
EPOCH = 9162  # iterations


def rate(hook, iteration, base=2e-3, epoch=None, epoch_len=EPOCH, max_epochs=24):
    epoch = iteration // epoch_len if epoch is None else epoch
    return hook.rates([base], epoch, iteration, max_epochs, epoch_len)[0]


@pytest.mark.parametrize('iteration, lr', [
    (0, 2.0e-6), (1, 5.996e-6), (49, 1.978040e-4), (99, 3.976040e-4), (249, 9.970040e-4), (499, 1.996004e-3), (500, 2e-3)])
def test_linear_warm_up_gives_mmcvs_rates(iteration, lr):
    assert rate(StepLrUpdaterHook(**SSD), iteration) == pytest.approx(lr, rel=1e-12)


@pytest.mark.parametrize('epochs, lr', [(range(0, 16), 2e-3), (range(16, 22), 2e-4), (range(22, 24), 2e-5)])
def test_steps_at_16_and_22_give_mmcvs_rates(epochs, lr):
    hook = StepLrUpdaterHook(**SSD)
    for epoch in epochs:
        assert rate(hook, max(epoch * EPOCH, 500), epoch=epoch) == pytest.approx(lr, rel=1e-12)
        assert rate(hook, epoch * EPOCH + EPOCH - 1, epoch=epoch) == pytest.approx(lr, rel=1e-12)


def test_constant_warm_up_stays_at_its_share_and_then_jumps():
    hook = FixedLrUpdaterHook(warmup='constant', warmup_iters=4, warmup_ratio=0.25)
    assert [rate(hook, i, base=8.0) for i in range(6)] == [2, 2, 2, 2, 8, 8]


def test_exponential_warm_up_multiplies_by_the_same_factor():
    hook = FixedLrUpdaterHook(warmup='exp', warmup_iters=4, warmup_ratio=1 / 16)
    assert [rate(hook, i, base=16.0) for i in range(6)] == pytest.approx([1, 2, 4, 8, 16, 16])


def test_warm_up_takes_its_share_of_the_stepped_rate():
    hook = StepLrUpdaterHook(step=[1], warmup='constant', warmup_iters=10, warmup_ratio=0.5)
    assert rate(hook, 5, base=1.0, epoch_len=5) == pytest.approx(0.05)


def test_warm_up_by_epoch_counts_epochs():
    hook = FixedLrUpdaterHook(warmup='linear', warmup_iters=2, warmup_ratio=0.5, warmup_by_epoch=True)
    assert [rate(hook, i, base=8.0, epoch_len=4) for i in (0, 4, 7, 8)] == pytest.approx([4, 6, 7.5, 8])


def test_a_whole_number_steps_at_every_multiple():
    hook = StepLrUpdaterHook(step=3, gamma=0.5)
    assert [rate(hook, 0, base=8.0, epoch=epoch) for epoch in range(8)] == [8, 8, 8, 4, 4, 4, 2, 2]


def test_the_rate_never_falls_below_min_lr():
    hook = StepLrUpdaterHook(step=[1, 2, 3], min_lr=0.05)
    assert [rate(hook, 0, base=1.0, epoch=epoch) for epoch in range(4)] == pytest.approx([1, 0.1, 0.05, 0.05])


def test_steps_may_count_iterations():
    hook = StepLrUpdaterHook(step=[7], by_epoch=False)
    assert [rate(hook, i, base=1.0, epoch_len=5) for i in (0, 6, 7)] == pytest.approx([1, 1, 0.1])


def test_the_rate_is_a_pure_function_of_the_place():
    places = [0, 499, 500, 3, EPOCH * 17, 250, EPOCH * 23, 1]
    used = StepLrUpdaterHook(**SSD)
    assert [rate(used, i) for i in places] == [rate(StepLrUpdaterHook(**SSD), i) for i in places]
    assert [rate(used, i) for i in reversed(places)] == [rate(StepLrUpdaterHook(**SSD), i) for i in reversed(places)]


def test_each_group_gets_the_rate_that_follows_from_its_own_initial_rate():
    groups = [{'initial_lr': 1.0, 'lr': 77.0}, {'initial_lr': 10.0, 'lr': 77.0}]
    runner = SimpleNamespace(optimizer=SimpleNamespace(optimizer=SimpleNamespace(param_groups=groups)), epoch=2, iter=10,
                             max_epochs=3, data_loader=[None] * 5)
    StepLrUpdaterHook(step=[2]).before_train_iter(runner)
    assert [group['lr'] for group in groups] == pytest.approx([0.1, 1.0])


@pytest.mark.parametrize('arguments, words', [
    (dict(step='16'), "not '16'"), (dict(step=[16, 0]), 'not .16, 0'), (dict(step=0), 'positive'), (dict(step=[1.5]), '1.5'),
    (dict(step=1, warmup='cosine'), "'cosine' is not one of constant, linear, exp"),
    (dict(step=1, warmup='linear'), 'warmup_iters > 0'),
    (dict(step=1, warmup='linear', warmup_iters=5, warmup_ratio=0), 'not 5 and 0'),
    (dict(step=1, warmup='linear', warmup_iters=5, warmup_ratio=1.5), 'not 5 and 1.5')])
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        StepLrUpdaterHook(**arguments)


def runner_of(optimizer, epoch=0, iteration=0, max_epochs=3, epoch_len=5):
    return SimpleNamespace(optimizer=SimpleNamespace(optimizer=optimizer), epoch=epoch, iter=iteration, max_epochs=max_epochs,
                           data_loader=[None] * epoch_len)


def test_an_optimizer_that_does_not_know_its_initial_rate_starts_from_the_rate_that_it_has():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    FixedLrUpdaterHook().before_run(runner_of(optimizer))
    assert optimizer.param_groups[0]['initial_lr'] == 0.5


def test_a_resumed_optimizer_goes_on_from_its_initial_rate_not_from_its_last():
    optimizer, resumed = (torch.optim.SGD([torch.zeros(1)], lr=0.5) for _ in range(2))
    hook = StepLrUpdaterHook(step=[1])
    hook.before_run(runner_of(optimizer))
    hook.before_train_iter(runner_of(optimizer, epoch=1, iteration=5))
    resumed.load_state_dict(optimizer.state_dict())
    again = StepLrUpdaterHook(step=[1])
    again.before_run(runner_of(resumed, epoch=1, iteration=6))
    again.before_train_iter(runner_of(resumed, epoch=1, iteration=6))
    assert resumed.param_groups[0]['lr'] == 0.5 * 0.1


def test_a_schedule_says_its_regular_rate():
    with pytest.raises(NotImplementedError):
        rate(LrUpdaterHook(), 0)
