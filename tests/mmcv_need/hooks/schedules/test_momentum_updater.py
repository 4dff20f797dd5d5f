"""Momentum schedules: tables made by hand, numbers that MMCV's own tests expect, and torch's one cycle."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmcv_need.hooks import HOOKS
from mmcv_need.hooks.schedules.momentum_updater import MomentumUpdaterHook, momentum_of


def schedule(policy, **arguments):
    return HOOKS.get(f'{policy}MomentumUpdaterHook')(**arguments)


def by_iteration(hook, length, base=0.8):
    """The momenta of a whole run of one epoch."""
    return [hook.momenta([base], 0, i, 1, length)[0] for i in range(length)]


def by_epoch(hook, epochs, base=0.8, epoch_len=3):
    """The momenta of the epochs of a whole run; constant within each."""
    momenta = [{hook.momenta([base], epoch, epoch * epoch_len + i, epochs, epoch_len)[0] for i in range(epoch_len)}
               for epoch in range(epochs)]
    assert all(len(of_epoch) == 1 for of_epoch in momenta)
    return [momentum for momentum, in momenta]


def equal(momenta, expected):
    assert momenta == pytest.approx(expected, rel=1e-12)


def runner_of(optimizer, epoch=0, iteration=0, max_epochs=4, epoch_len=5):
    return SimpleNamespace(optimizer=SimpleNamespace(optimizer=optimizer), epoch=epoch, iter=iteration, max_epochs=max_epochs,
                           data_loader=[None] * epoch_len)


# Curves


@pytest.mark.parametrize('policy, arguments, expected', [
    ('Fixed', dict(), [0.8, 0.8, 0.8, 0.8]),
    ('Step', dict(step=[1, 3]), [0.8, 0.4, 0.4, 0.2]),
    ('Step', dict(step=2, gamma=0.25, min_momentum=0.3), [0.8, 0.8, 0.3, 0.3]),
    ('CosineAnnealing', dict(min_momentum=0.4), [0.8, 0.7414213562373095, 0.6, 0.45857864376269046]),
    ('CosineAnnealing', dict(min_momentum_ratio=0.5), [0.8, 0.7414213562373095, 0.6, 0.45857864376269046])])
def test_a_curve_by_epoch_and_by_iteration_is_the_table(policy, arguments, expected):
    equal(by_epoch(schedule(policy, **arguments), 4), expected)
    equal(by_iteration(schedule(policy, by_epoch=False, **arguments), 4), expected)


def test_a_cycle_falls_and_rises_again():
    hook = schedule('Cyclic', target_ratio=(0.5, 1), step_ratio_up=0.5, anneal_strategy='linear')
    equal(by_iteration(hook, 4), [0.8, 0.6, 0.4, 0.6])
    equal(by_iteration(schedule('Cyclic', cyclic_times=2), 20, 0.95)[::4], [0.95, 0.85, 0.925, 0.9, 0.875])
    shrinking = schedule('Cyclic', target_ratio=(0.5, 1), cyclic_times=2, step_ratio_up=0.5, anneal_strategy='linear',
                         gamma=0.5)
    equal(by_iteration(shrinking, 8), [0.8, 0.6, 0.4, 0.6, 0.8, 0.7, 0.6, 0.7])


def test_one_cycle_falls_to_its_lowest_and_rises_to_its_highest_whatever_the_optimizer_had():
    hook = schedule('OneCycle', base_momentum=0.5, max_momentum=0.9, pct_start=0.5, anneal_strategy='linear')  # lowest at 4
    equal(by_iteration(hook, 10, base=0.123), [0.9, 0.8, 0.7, 0.6, 0.5, *(0.5 + 0.08 * i for i in range(1, 6))])
    three = schedule('OneCycle', base_momentum=0.5, max_momentum=0.9, pct_start=0.25, anneal_strategy='linear',
                     three_phase=True)  # phases end at 2, 4 and 11
    equal(by_iteration(three, 12), [0.9, 0.7, 0.5, 0.7, *[0.9] * 8])


def test_one_cycle_of_several_groups_has_a_range_for_each():
    hook = schedule('OneCycle', base_momentum=[0.5, 0.6], max_momentum=[0.9, 0.8], pct_start=0.5)
    equal(hook.momenta([0.1, 0.1], 0, 0, 1, 10), [0.9, 0.8])
    equal(hook.momenta([0.1, 0.1], 0, 4, 1, 10), [0.5, 0.6])


@pytest.mark.parametrize('strategy', ['cos', 'linear'])
@pytest.mark.parametrize('three_phase', [False, True])
@pytest.mark.parametrize('steps, pct_start', [(50, 0.3), (7, 0.5), (20, 0.45)])
def test_one_cycle_is_torchs(steps, pct_start, strategy, three_phase):
    arguments = dict(pct_start=pct_start, anneal_strategy=strategy, three_phase=three_phase, base_momentum=0.8,
                     max_momentum=0.93)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps, **arguments)
    expected = [optimizer.param_groups[0]['momentum']]
    for _ in range(steps - 1):
        optimizer.step()
        scheduler.step()
        expected.append(optimizer.param_groups[0]['momentum'])
    equal(by_iteration(schedule('OneCycle', **arguments), steps), expected)


# Warm-up


@pytest.mark.parametrize('kind, divisors', [
    ('constant', [0.5, 0.5, 0.5, 0.5, 1]), ('linear', [0.5, 0.625, 0.75, 0.875, 1]),
    ('exp', [0.5, 0.5946035575013605, 0.7071067811865476, 0.8408964152537146, 1])])  # 0.5^(3/4), 0.5^(1/2), 0.5^(1/4)
def test_a_warm_up_divides_the_regular_momentum_by_what_grows_to_1(kind, divisors):
    warm_up = dict(warmup=kind, warmup_iters=4, warmup_ratio=0.5)
    equal(by_iteration(schedule('Fixed', **warm_up), 5, base=0.4), [0.4 / d for d in divisors])
    stepped = [0.4, 0.4, 0.2, 0.2, 0.2]
    equal(by_iteration(schedule('Step', step=[2], by_epoch=False, **warm_up), 5, base=0.4),
          [momentum / d for momentum, d in zip(stepped, divisors)])
    one = schedule('OneCycle', base_momentum=0.1, max_momentum=0.3, pct_start=1.0, anneal_strategy='linear', **warm_up)
    equal(by_iteration(one, 5), [momentum / d for momentum, d in zip([0.3, 0.25, 0.2, 0.15, 0.1], divisors)])


def test_a_warm_up_by_epoch_divides_the_epochs_regular_momentum():
    hook = schedule('Step', step=[1], warmup='linear', warmup_iters=2, warmup_ratio=0.5, warmup_by_epoch=True)
    momenta = [hook.momenta([0.4], i // 2, i, 3, 2)[0] for i in range(6)]
    equal(momenta, [0.4 / 0.5, 0.4 / 0.625, 0.2 / 0.75, 0.2 / 0.875, 0.2, 0.2])


def test_the_warm_up_starts_from_nine_tenths_if_nothing_else_is_said():
    equal(by_iteration(schedule('Fixed', warmup='constant', warmup_iters=1), 2, base=0.45), [0.5, 0.45])


# Numbers that MMCV's own tests expect, for an optimizer with the momentum 0.95 (iteration counted from 0, momentum)


@pytest.mark.parametrize('hook, length, rows', [
    (schedule('Cyclic', target_ratio=(0.85 / 0.95, 1)), 10, [(0, 0.95), (4, 0.85), (6, 0.875)]),
    (schedule('CosineAnnealing', by_epoch=False, min_momentum_ratio=0.99 / 0.95), 10,
     [(0, 0.95), (5, 0.97), (9, 0.9890211303259032)]),
    (schedule('Step', by_epoch=False, step=5, gamma=0.5, min_momentum=0.05), 30,
     [(0, 0.95), (5, 0.475), (15, 0.11875), (20, 0.059375), (25, 0.05), (29, 0.05)]),
    (schedule('OneCycle', pct_start=0.5), 10, [(0, 0.95), (5, 0.8595491502812526), (9, 0.95)]),
    *((schedule('Step', by_epoch=False, step=[10], warmup=kind, warmup_iters=5, warmup_ratio=0.5), 10,
       [(0, 1.9), (2, third), (9, 0.95)])
      for kind, third in (('constant', 1.9), ('linear', 1.3571428571428572), ('exp', 1.4399307381848783)))])
def test_momenta_are_those_that_mmcv_expects(hook, length, rows):
    momenta = by_iteration(hook, length, 0.95)
    equal([momenta[i] for i, _ in rows], [momentum for _, momentum in rows])


# Optimizers


def test_each_group_gets_the_momentum_that_follows_from_its_own():
    groups = [{'params': [torch.zeros(1)], 'momentum': 0.8}, {'params': [torch.zeros(1)], 'momentum': 0.4}]
    optimizer, hook = torch.optim.SGD(groups, lr=1.0), schedule('Step', step=[1])
    hook.before_run(runner_of(optimizer))
    for epoch, expected in enumerate([[0.8, 0.4], [0.4, 0.2], [0.4, 0.2], [0.4, 0.2]]):
        hook.before_train_iter(runner_of(optimizer, epoch, 5 * epoch))
        assert [group['momentum'] for group in optimizer.param_groups] == pytest.approx(expected)


@pytest.mark.parametrize('make', [torch.optim.Adam, torch.optim.AdamW])
def test_of_adam_the_first_beta_is_the_momentum(make):
    optimizer, hook = make([torch.zeros(1)], betas=(0.8, 0.99)), schedule('Step', step=[1])
    hook.before_run(runner_of(optimizer))
    hook.before_train_iter(runner_of(optimizer, 1, 5))
    assert optimizer.param_groups[0]['betas'] == (0.4, 0.99)
    assert optimizer.param_groups[0]['initial_momentum'] == 0.8


def test_a_beta_of_1_or_more_is_refused_and_a_momentum_is_not():
    adam, sgd = torch.optim.Adam([torch.zeros(1)]), torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9)
    hook = schedule('Fixed', warmup='constant', warmup_iters=5, warmup_ratio=0.5)
    for optimizer in (adam, sgd):
        hook.before_run(runner_of(optimizer))
    hook.before_train_iter(runner_of(sgd))
    assert momentum_of(sgd.param_groups[0]) == 1.8
    for moment in (hook.check_run, hook.before_train_iter):  # before anything is written, and at any later iteration
        with pytest.raises(ConfigError, match=r'^it makes the first of betas 1\.8, which must stay below 1\.'):
            moment(runner_of(adam))
    hook.check_run(runner_of(sgd))


def test_an_optimizer_without_momentum_is_refused():
    with pytest.raises(ConfigError, match=r'^Adagrad has neither momentum nor betas'):
        schedule('Fixed').check_run(runner_of(torch.optim.Adagrad([torch.zeros(1)])))


@pytest.mark.parametrize('make', [lambda: torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.8),
                                  lambda: torch.optim.Adam([torch.zeros(1)], betas=(0.8, 0.9))])
def test_a_resumed_optimizer_goes_on_from_its_initial_momentum_not_from_its_last(make):
    optimizer, resumed = make(), make()
    hook, again = schedule('Step', step=[1]), schedule('Step', step=[1])
    hook.before_run(runner_of(optimizer))
    hook.before_train_iter(runner_of(optimizer, 1, 5))
    resumed.load_state_dict(optimizer.state_dict())
    assert momentum_of(resumed.param_groups[0]) == 0.4
    again.before_run(runner_of(resumed, 1, 6))
    again.before_train_iter(runner_of(resumed, 1, 6))
    assert momentum_of(resumed.param_groups[0]) == 0.4


POLICIES = [
    lambda **given: schedule('Fixed', **given),
    lambda **given: schedule('Step', step=[2, 5], **given),
    lambda **given: schedule('CosineAnnealing', min_momentum_ratio=0.9, **given),
    lambda **given: schedule('Cyclic', cyclic_times=3, gamma=0.8, **{**given, 'by_epoch': False}),
    lambda **given: schedule('OneCycle', **{**given, 'by_epoch': False})]
EPOCHS, EPOCH = 8, 6


@pytest.mark.parametrize('make', POLICIES)
@pytest.mark.parametrize('epochs', [True, False])
@settings(max_examples=20)
@given(places=st.lists(st.integers(0, EPOCHS * EPOCH - 1), min_size=1, max_size=6))
def test_a_momentum_does_not_depend_on_the_momenta_asked_for_before(make, epochs, places):
    def at(hook, i):
        return hook.momenta([0.8, 0.4], i // EPOCH, i, EPOCHS, EPOCH)
    arguments = dict(by_epoch=epochs, warmup='exp', warmup_iters=9)
    used = make(**arguments)
    momenta = [at(used, place) for place in places]
    assert momenta == [at(make(**arguments), place) for place in places]
    assert momenta == [at(used, place) for place in reversed(places)][::-1]


def test_configs_find_every_policy_by_its_name():
    for policy in ('Fixed', 'Step', 'CosineAnnealing', 'Cyclic', 'OneCycle'):
        assert issubclass(HOOKS.get(f'{policy}MomentumUpdaterHook'), MomentumUpdaterHook)


# What makes no sense


@pytest.mark.parametrize('make, words', [
    (lambda: schedule('Step', step=[0]), 'step must be a positive int'),
    (lambda: schedule('Fixed', warmup='linear'), 'warmup_iters > 0'),
    (lambda: schedule('CosineAnnealing'), 'either min_momentum or min_momentum_ratio, not neither'),
    (lambda: schedule('Cyclic', by_epoch=True), 'by_epoch'),
    (lambda: schedule('OneCycle', by_epoch=True), 'by_epoch'),
    (lambda: schedule('OneCycle', base_momentum='0.85'), "base_momentum: expected a number, .* not '0.85'"),
    (lambda: schedule('OneCycle', max_momentum=[None]), 'max_momentum: expected a number'),
    (lambda: schedule('OneCycle', pct_start=2.0), 'from 0 to 1, not 2.0')])
def test_arguments_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


@pytest.mark.parametrize('hook, words', [
    (schedule('Cyclic', cyclic_times=21), 'cyclic_times 21: the run has only 20 iterations'),
    (schedule('OneCycle', base_momentum=[0.1, 0.2]), 'base_momentum: expected one number, or one for each of the 1 parameter'),
    (schedule('OneCycle', max_momentum=[0.1, 0.2]), 'max_momentum: expected one number, or one for each')])
def test_a_schedule_that_does_not_fit_the_run_is_refused_before_the_first_iteration(hook, words):
    with pytest.raises(ConfigError, match=words):
        hook.check_run(runner_of(torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9)))


def test_a_schedule_says_its_regular_momentum():
    with pytest.raises(NotImplementedError):
        by_iteration(MomentumUpdaterHook(), 1)
