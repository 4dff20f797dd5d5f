"""Learning rates along curves: tables made by hand, numbers that MMCV's own tests expect, and torch's schedulers.

cos(pi / 5) = 0.8090169943749475, so half a cosine wave from 1 to 0 is at 0.9045084971874737 after a fifth of its way, and at
0.8535533905932737 = (2 + sqrt(2)) / 4 after a quarter.
"""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmcv_need.hooks import HOOKS
from mmcv_need.hooks.schedules.lr_cycles import OneCycleLrUpdaterHook
from mmcv_need.hooks.schedules.lr_policies import CosineAnnealingLrUpdaterHook
from mmcv_need.hooks.schedules.lr_updater import LrUpdaterHook


def schedule(policy, **arguments):
    return HOOKS.get(f'{policy}LrUpdaterHook')(**arguments)


def by_iteration(hook, length, base=1.0):
    """The rates of a whole run of one epoch."""
    return [hook.rates([base], 0, i, 1, length)[0] for i in range(length)]


def by_epoch(hook, epochs, base=1.0, epoch_len=3):
    """The rates of the epochs of a whole run; constant within each."""
    rates = [{hook.rates([base], epoch, epoch * epoch_len + i, epochs, epoch_len)[0] for i in range(epoch_len)}
             for epoch in range(epochs)]
    assert all(len(of_epoch) == 1 for of_epoch in rates)
    return [rate for rate, in rates]


def equal(rates, expected, rel=1e-12):
    assert rates == pytest.approx(expected, rel=rel, abs=1e-18)


# Curves that go by epochs or by iterations

WAVE = [1, 0.8535533905932737, 0.5, 0.14644660940672627]  # quarters of half a cosine wave
FALLING = [
    ('Exp', dict(gamma=0.5), 8.0, [8, 4, 2, 1]),
    ('Poly', dict(), 8.0, [8, 6, 4, 2]),
    ('Poly', dict(power=2, min_lr=1.0), 17.0, [17, 10, 5, 2]),  # 1 + 16 * (1, 9/16, 4/16, 1/16)
    ('Poly', dict(power=0.5), 2.0, [2, 1.7320508075688772, 1.4142135623730951, 1]),
    ('Inv', dict(gamma=1.0), 12.0, [12, 6, 4, 3]),
    ('Inv', dict(gamma=3.0, power=2), 400.0, [400, 25, 400 / 49, 4]),
    ('CosineAnnealing', dict(min_lr=0.0), 1.0, WAVE),
    ('CosineAnnealing', dict(min_lr=2.0), 8.0, [8, 7.121320343559642, 5, 2.8786796564403576]),
    ('CosineAnnealing', dict(min_lr_ratio=0.25), 8.0, [8, 7.121320343559642, 5, 2.8786796564403576]),
    ('FlatCosineAnnealing', dict(min_lr=0.0), 1.0, [1, 1, 1, 1]),  # the wave starts at t = 3, and is 1 there
    ('FlatCosineAnnealing', dict(start_percent=0.5, min_lr_ratio=0.5), 2.0, [2, 2, 2, 1.5]),
    ('FlatCosineAnnealing', dict(start_percent=0, min_lr=0.0), 1.0, WAVE),
    ('FlatCosineAnnealing', dict(start_percent=1.0, min_lr=0.0), 1.0, [1, 1, 1, 1]),
    ('FlatCosineAnnealing', dict(start_percent=0.375, min_lr=0.0), 1.0, [1, 1, 1, 0.5]),  # round(1.5) is 2
    ('CosineRestart', dict(periods=[2, 2], restart_weights=[1, 0.5], min_lr=0.0), 4.0, [4, 2, 2, 1]),
    ('CosineRestart', dict(periods=[4], min_lr=2.0), 8.0, [8, 7.121320343559642, 5, 2.8786796564403576]),
    ('CosineRestart', dict(periods=[1, 5], restart_weights=[1, 0.25], min_lr_ratio=0.2), 10.0,
     [10, 4, 2 + 2 * 0.9045084971874737, 2 + 2 * 0.6545084971874737])]


@pytest.mark.parametrize('policy, arguments, base, expected', FALLING)
def test_a_curve_by_epoch_and_by_iteration_is_the_table(policy, arguments, base, expected):
    equal(by_epoch(schedule(policy, **arguments), 4, base), expected)
    equal(by_iteration(schedule(policy, by_epoch=False, **arguments), 4, base), expected)


@pytest.mark.parametrize('policy, arguments, base, expected', FALLING)
def test_every_warm_up_takes_its_share_of_the_curve(policy, arguments, base, expected):
    for kind, shares in (('constant', [0.25, 0.25, 1, 1]), ('linear', [0.25, 0.625, 1, 1]), ('exp', [0.25, 0.5, 1, 1])):
        warming = schedule(policy, by_epoch=False, warmup=kind, warmup_iters=2, warmup_ratio=0.25, **arguments)
        equal(by_iteration(warming, 4, base), [rate * share for rate, share in zip(expected, shares)])


@pytest.mark.parametrize('policy, arguments, base, expected', FALLING)
def test_a_warm_up_by_epochs_takes_its_share_of_each_epochs_regular_rate(policy, arguments, base, expected):
    warming = schedule(policy, warmup='linear', warmup_iters=2, warmup_ratio=0.2, warmup_by_epoch=True, **arguments)
    rates = [warming.rates([base], i // 2, i, 4, 2)[0] for i in range(8)]  # two iterations an epoch
    regular = [rate for rate in expected for _ in range(2)]
    equal(rates, [rate * share for rate, share in zip(regular, [0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])])


# Cycles


def test_a_cycle_rises_to_its_peak_and_falls_to_its_end():
    linear = schedule('Cyclic', target_ratio=(10, 0.1), step_ratio_up=0.5, anneal_strategy='linear')
    equal(by_iteration(linear, 8), [1, 3.25, 5.5, 7.75, 10, 7.525, 5.05, 2.575])
    cosine = schedule('Cyclic', target_ratio=(9, 1), step_ratio_up=0.25)
    equal(by_iteration(cosine, 8, 2.0), [2, 10, 18, 2 + 16 * 0.9330127018922193, 14, 10, 6, 2 + 16 * 0.06698729810778065])


def test_a_cycle_by_default_is_mmcvs():
    """Ten times the base rate after two fifths of the run, and a ten-thousandth of it at the end."""
    rates = by_iteration(schedule('Cyclic'), 10, 0.1)
    equal([rates[0], rates[2], rates[4], rates[7]], [0.1, 0.55, 1.0, (1.0 + 1e-5) / 2])


def test_cycles_repeat_their_peaks_shrink_and_what_is_left_over_begins_another():
    hook = schedule('Cyclic', target_ratio=(10, 0.1), cyclic_times=2, step_ratio_up=0.5, anneal_strategy='linear', gamma=0.5)
    expected = [1, 3.25, 5.5, 7.75, 10, 7.525, 5.05, 2.575, 1, 2.125, 3.25, 4.375, 5.5, 4.15, 2.8, 1.45]
    equal(by_iteration(hook, 16), expected)
    equal(by_iteration(hook, 17), [*expected, 1])


@pytest.mark.parametrize('ratio', [4.0, 4, (4.0,), [4], (4.0, 4e-5), [4, 4e-5]])
def test_a_single_target_ends_at_a_hundred_thousandth_of_it(ratio):
    hook = schedule('Cyclic', target_ratio=ratio, step_ratio_up=0.5, anneal_strategy='linear')
    equal(by_iteration(hook, 4), [1, 2.5, 4, 2.00002])


def test_a_cycle_without_a_rise_starts_at_its_peak():
    hook = schedule('Cyclic', target_ratio=(4, 2), step_ratio_up=0, cyclic_times=2, anneal_strategy='linear', gamma=0.5)
    equal(by_iteration(hook, 4), [4, 3, 2.5, 2.25])


@pytest.mark.parametrize('kind, shares', [('constant', [0.5, 0.5, 1]), ('linear', [0.5, 0.75, 1]),
                                          ('exp', [0.5, 0.7071067811865476, 1])])
def test_warm_ups_of_what_rises_take_their_share(kind, shares):
    warm_up = dict(warmup=kind, warmup_iters=2, warmup_ratio=0.5)
    cyclic = schedule('Cyclic', target_ratio=(5, 1), step_ratio_up=0.5, anneal_strategy='linear', **warm_up)
    equal(by_iteration(cyclic, 8)[:3], [rate * share for rate, share in zip([1, 2, 3], shares)])
    one = schedule('OneCycle', max_lr=10.0, pct_start=0.5, anneal_strategy='linear', div_factor=10, **warm_up)
    equal(by_iteration(one, 8)[:3], [rate * share for rate, share in zip([1, 4, 7], shares)])


# One cycle


def test_one_cycle_rises_to_its_peak_and_falls_to_its_end():
    """11 steps, peak at 0.3 * 11 - 1 = 2.3: three steps up, and down from there."""
    hook = schedule('OneCycle', max_lr=10.0, total_steps=11, anneal_strategy='linear', div_factor=10, final_div_factor=10)
    down = 9.9 / 7.7
    equal(by_iteration(hook, 11), [1, 1 + 9 / 2.3, 1 + 18 / 2.3, *(10 - down * (i - 2.3) for i in range(3, 11))])


def test_one_cycle_of_three_phases_returns_to_its_start_before_its_end():
    hook = schedule('OneCycle', max_lr=10.0, pct_start=0.25, anneal_strategy='linear', div_factor=10, final_div_factor=10,
                    three_phase=True)  # phases end at 2, 4 and 11
    equal(by_iteration(hook, 12), [1, 5.5, 10, 5.5, *(1 - 0.9 * i / 7 for i in range(8))])


def test_the_optimizers_rate_does_not_count_in_one_cycle_and_groups_may_have_their_own_peaks():
    hook = schedule('OneCycle', max_lr=[10.0, 20.0], pct_start=0.5, anneal_strategy='linear', div_factor=10)
    assert hook.rates([77.0, 88.0], 0, 0, 1, 10) == pytest.approx([1, 2])
    assert hook.rates([77.0, 88.0], 0, 4, 1, 10) == pytest.approx([10, 20])


def test_one_cycle_over_more_steps_than_the_run_has_ends_on_its_way():
    hook = schedule('OneCycle', max_lr=10.0, total_steps=20, pct_start=0.5, anneal_strategy='linear', div_factor=10)
    hook.check_fits(10, 1)
    equal(by_iteration(hook, 10), [1 + i for i in range(10)])


@pytest.mark.parametrize('pct_start, expected', [(0.0, [5, 0]), (0.5, [10, 0]), (1.0, [1, 10])])
def test_one_cycle_may_be_nothing_but_a_fall_or_a_rise_or_begin_at_its_peak(pct_start, expected):
    hook = schedule('OneCycle', max_lr=10.0, pct_start=pct_start, anneal_strategy='linear', div_factor=10,
                    final_div_factor=1e30)
    equal(by_iteration(hook, 2), expected)


# Numbers that MMCV's own tests expect, for an optimizer with the rate 0.02 (iteration counted from 0, rate)


@pytest.mark.parametrize('hook, length, rows', [
    (schedule('Cyclic', target_ratio=(10, 1)), 10, [(0, 0.01999999999999999), (4, 0.2), (6, 0.155)]),
    (schedule('Cyclic', target_ratio=(10.0, 1.0), step_ratio_up=0.5, anneal_strategy='linear'), 8,
     [(0, 0.02), (3, 0.155), (5, 0.155)]),
    (schedule('CosineAnnealing', by_epoch=False, min_lr_ratio=0, warmup_iters=2, warmup_ratio=0.9), 10,
     [(0, 0.02), (5, 0.01), (9, 0.0004894348370484647)]),
    (schedule('Step', by_epoch=False, step=5, gamma=0.5, min_lr=1e-3), 30,
     [(0, 0.02), (5, 0.01), (15, 0.0025), (20, 0.00125), (25, 0.001), (29, 0.001)]),
    (schedule('FlatCosineAnnealing', by_epoch=False, min_lr_ratio=0, warmup='linear', warmup_iters=2, warmup_ratio=0.9,
              start_percent=0.5), 10,
     [(0, 0.018000000000000002), (5, 0.02), (6, 0.018090169943749474), (9, 0.0019098300562505265)]),
    (schedule('CosineRestart', by_epoch=False, periods=[5, 5], restart_weights=[0.5, 0.5], min_lr_ratio=0), 10,
     [(0, 0.01), (5, 0.01), (9, 0.0009549150281252633)]),
    (schedule('OneCycle', max_lr=0.01, pct_start=0.5), 10,
     [(0, 0.0003999999999999993), (5, 0.00904508879153485), (9, 4e-08)])])
def test_rates_by_iteration_are_those_that_mmcv_expects(hook, length, rows):
    rates = by_iteration(hook, length, 0.02)
    equal([rates[i] for i, _ in rows], [rate for _, rate in rows])


def test_rates_by_epoch_are_those_that_mmcv_expects():
    hook = schedule('FlatCosineAnnealing', min_lr_ratio=0, warmup='linear', warmup_iters=10, warmup_ratio=0.9,
                    start_percent=0.5)
    rates = [hook.rates([0.02], i // 10, i, 10, 10)[0] for i in (0, 10, 60, 99)]
    equal(rates, [0.018000000000000002, 0.02, 0.018090169943749474, 0.0019098300562505265])


# torch's schedulers


def of_torch(make, length, base=0.4):
    """The rates that a scheduler of torch sets."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=base, momentum=0.9)
    scheduler, rates = make(optimizer), [optimizer.param_groups[0]['lr']]
    for _ in range(length - 1):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]['lr'])
    return rates


@pytest.mark.parametrize('strategy', ['cos', 'linear'])
@pytest.mark.parametrize('three_phase', [False, True])
@pytest.mark.parametrize('steps, pct_start', [(50, 0.3), (7, 0.5), (13, 0.1), (20, 0.45)])
def test_one_cycle_is_torchs(steps, pct_start, strategy, three_phase):
    arguments = dict(max_lr=0.4, total_steps=steps, pct_start=pct_start, anneal_strategy=strategy, three_phase=three_phase)
    expected = of_torch(lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, **arguments), steps)
    equal(by_iteration(schedule('OneCycle', **arguments), steps), expected)


def test_cosine_annealing_is_torchs():
    expected = of_torch(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30, eta_min=0.01), 30)
    equal(by_iteration(schedule('CosineAnnealing', by_epoch=False, min_lr=0.01), 30, 0.4), expected, rel=1e-9)


def test_cosine_restarts_are_torchs():
    expected = of_torch(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4, 2, 0.01), 28)
    hook = schedule('CosineRestart', periods=[4, 8, 16], restart_weights=[1, 1, 1], min_lr=0.01)
    equal(by_epoch(hook, 28, 0.4), expected)


def test_exponential_decay_is_torchs():
    expected = of_torch(lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9), 20)
    equal(by_epoch(schedule('Exp', gamma=0.9), 20, 0.4), expected)


@pytest.mark.skipif(not hasattr(torch.optim.lr_scheduler, 'PolynomialLR'), reason='this torch is older than PolynomialLR')
def test_polynomial_decay_is_torchs():
    expected = of_torch(lambda optimizer: torch.optim.lr_scheduler.PolynomialLR(optimizer, 20, power=0.9), 20)
    equal(by_epoch(schedule('Poly', power=0.9), 20, 0.4), expected)


@pytest.mark.skipif(not hasattr(torch.optim.lr_scheduler, 'LinearLR'), reason='this torch is older than LinearLR')
def test_linear_warm_up_is_torchs():
    expected = of_torch(lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=7), 10)
    equal(by_iteration(schedule('Fixed', warmup='linear', warmup_iters=7, warmup_ratio=0.01), 10, 0.4), expected)


# All of them

POLICIES = [
    lambda **given: schedule('Fixed', **given),
    lambda **given: schedule('Step', step=[2, 5], **given),
    lambda **given: schedule('Exp', gamma=0.9, **given),
    lambda **given: schedule('Poly', power=0.9, **given),
    lambda **given: schedule('Inv', gamma=0.1, power=0.75, **given),
    lambda **given: schedule('CosineAnnealing', min_lr_ratio=0.01, **given),
    lambda **given: schedule('FlatCosineAnnealing', min_lr_ratio=0.01, **given),
    lambda **given: schedule('CosineRestart', periods=[2, 48], restart_weights=[1, 0.5], min_lr_ratio=0, **given),
    lambda **given: schedule('Cyclic', cyclic_times=3, gamma=0.8, **{**given, 'by_epoch': False}),
    lambda **given: schedule('OneCycle', max_lr=[2.0, 20.0], **{**given, 'by_epoch': False})]
EPOCHS, EPOCH = 8, 6
PLACES = st.lists(st.integers(0, EPOCHS * EPOCH - 1), min_size=1, max_size=6)


def rates_at(hook, iteration):
    return hook.rates([1.0, 10.0], iteration // EPOCH, iteration, EPOCHS, EPOCH)


@pytest.mark.parametrize('make', POLICIES)
@pytest.mark.parametrize('epochs', [True, False])
@settings(max_examples=20)
@given(places=PLACES)
def test_a_rate_does_not_depend_on_the_rates_asked_for_before(make, epochs, places):
    arguments = dict(by_epoch=epochs, warmup='exp', warmup_iters=9, warmup_ratio=0.01)
    used = make(**arguments)
    used.check_fits(EPOCHS * (1 if used.by_epoch else EPOCH), groups=2)
    rates = [rates_at(used, place) for place in places]
    assert rates == [rates_at(make(**arguments), place) for place in places]
    assert rates == [rates_at(used, place) for place in reversed(places)][::-1]


@pytest.mark.parametrize('make', POLICIES)
@settings(max_examples=20)
@given(places=PLACES)
def test_a_group_of_ten_times_the_rate_keeps_ten_times_the_rate(make, places):
    hook = make(by_epoch=False, warmup='linear', warmup_iters=9)
    for small, large in (rates_at(hook, place) for place in places):
        assert small >= 0 and large == pytest.approx(10 * small)


@pytest.mark.parametrize('make', POLICIES)
def test_the_optimizer_gets_the_rates_of_its_place_in_the_run(make):
    groups = [{'params': [torch.zeros(1)], 'lr': 1.0}, {'params': [torch.zeros(1)], 'lr': 10.0}]
    optimizer, hook = torch.optim.SGD(groups, lr=1.0), make()
    runner = SimpleNamespace(optimizer=SimpleNamespace(optimizer=optimizer), epoch=0, iter=0, max_epochs=EPOCHS,
                             data_loader=[None] * EPOCH)
    hook.before_run(runner)
    for runner.iter in range(EPOCHS * EPOCH):
        runner.epoch = runner.iter // EPOCH
        hook.before_train_iter(runner)
        assert [group['lr'] for group in optimizer.param_groups] == rates_at(hook, runner.iter)


def test_configs_find_every_policy_by_its_name():
    for policy in ('Fixed', 'Step', 'Exp', 'Poly', 'Inv', 'CosineAnnealing', 'FlatCosineAnnealing', 'CosineRestart', 'Cyclic',
                   'OneCycle'):
        assert issubclass(HOOKS.get(f'{policy}LrUpdaterHook'), LrUpdaterHook)
    assert HOOKS.get('CosineAnnealingLrUpdaterHook') is CosineAnnealingLrUpdaterHook
    assert HOOKS.get('OneCycleLrUpdaterHook') is OneCycleLrUpdaterHook


# What makes no sense


@pytest.mark.parametrize('make, words', [
    (lambda: schedule('Exp', gamma=0.0), 'gamma: expected a number above 0, not 0.0'),
    (lambda: schedule('Inv', gamma=-1.0), 'gamma: expected 0 or more, not -1.0'),
    (lambda: schedule('CosineAnnealing'), 'either min_lr or min_lr_ratio, not neither'),
    (lambda: schedule('CosineAnnealing', min_lr=0.0, min_lr_ratio=0.0), 'not both'),
    (lambda: schedule('FlatCosineAnnealing', start_percent=-0.1, min_lr=0.0), 'from 0 to 1, not -0.1'),
    (lambda: schedule('FlatCosineAnnealing', start_percent=1.1, min_lr=0.0), 'from 0 to 1, not 1.1'),
    (lambda: schedule('CosineRestart', periods=[2, 10], restart_weights=[0.5], min_lr=0.0), 'as many restart_weights'),
    (lambda: schedule('CosineRestart', periods=[2, 0], restart_weights=[1, 1], min_lr=0.0), 'periods of 1 or more'),
    (lambda: schedule('CosineRestart', periods=[], restart_weights=[], min_lr=0.0), 'periods of 1 or more'),
    (lambda: schedule('Cyclic', by_epoch=True), 'by_epoch: this curve is one of iterations'),
    (lambda: schedule('Cyclic', target_ratio=(10.0, 0.1, 0.2)), 'a number or a pair of them'),
    (lambda: schedule('Cyclic', target_ratio='10'), "not '10'"),
    (lambda: schedule('Cyclic', step_ratio_up=1.0), '0 <= step_ratio_up < 1'),
    (lambda: schedule('Cyclic', cyclic_times=0), 'cyclic_times >= 1'),
    (lambda: schedule('Cyclic', gamma=1.5), '0 < gamma <= 1'),
    (lambda: schedule('Cyclic', anneal_strategy='sin'), "'cos' or 'linear', not 'sin'"),
    (lambda: schedule('OneCycle', max_lr=0.1, by_epoch=True), 'by_epoch'),
    (lambda: schedule('OneCycle', max_lr='0.1'), "max_lr: expected a number, or a list .* not '0.1'"),
    (lambda: schedule('OneCycle', max_lr=0.1, pct_start=-0.1), 'pct_start: expected a number from 0 to 1, not -0.1'),
    (lambda: schedule('OneCycle', max_lr=0.1, div_factor=0), 'div_factor and final_div_factor above 0, not 0'),
    (lambda: schedule('OneCycle', max_lr=0.1, anneal_strategy='sin'), "not 'sin'")])
def test_arguments_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


@pytest.mark.parametrize('hook, words', [
    (schedule('OneCycle', max_lr=0.1, total_steps=9), 'total_steps 9: the run has more iterations, 10'),
    (schedule('OneCycle', max_lr=[0.1, 0.2]), 'one for each of the 1 parameter groups'),
    (schedule('CosineRestart', by_epoch=False, periods=[5, 2], restart_weights=[1, 1], min_lr=0.0), '7 of the 10 iterations'),
    (schedule('CosineRestart', periods=[1], min_lr=0.0), '1 of the 2 epochs'),
    (schedule('Cyclic', cyclic_times=11), 'cyclic_times 11: the run has only 10 iterations')])
def test_a_schedule_that_does_not_fit_the_run_is_refused_before_the_first_iteration(hook, words):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    runner = SimpleNamespace(optimizer=SimpleNamespace(optimizer=optimizer), max_epochs=2, data_loader=[None] * 5)
    with pytest.raises(ConfigError, match=words):
        hook.check_run(runner)
