"""Every schedule in words, and the words hold: the rates that the hook gives are the ones said."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.hooks import HOOKS
from mmdet.apis.rate_words import WORDS, counted, enumerated, rate_words

SAID = {
    'fixed': (dict(policy='fixed'), 'lr 0.002 throughout'),
    'steps': (dict(policy='step', step=[16, 22]), 'lr 0.002, x0.1 after epochs 16 and 22'),
    'one step': (dict(policy='step', step=[16], gamma=0.5), 'lr 0.002, x0.5 after epoch 16'),
    'regular steps': (dict(policy='step', step=8, min_lr=1e-5), 'lr 0.002, x0.1 after every 8 epochs, never below 1e-05'),
    'a step each epoch': (dict(policy='step', step=1), 'lr 0.002, x0.1 after every epoch'),
    'steps by iterations': (dict(policy='step', step=[80000, 100000, 120000], by_epoch=False),
                            'lr 0.002, x0.1 after steps 80,000, 100,000 and 120,000'),
    'exponential': (dict(policy='exp', gamma=0.9), 'lr 0.002, x0.9 after every epoch'),
    'polynomial': (dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False),
                   'lr 0.002, falling to 0.0001 along a polynomial of power 0.9, by steps'),
    'line': (dict(policy='poly'), 'lr 0.002, falling to 0 along a straight line, by epochs'),
    'inverse': (dict(policy='inv', gamma=0.1, power=2.), 'lr 0.002, divided by (1 + 0.1 t)^2 after t epochs'),
    'cosine': (dict(policy='CosineAnnealing', min_lr_ratio=0.01), 'lr 0.002, falling to 0.01 of it along a cosine, by epochs'),
    'late cosine': (dict(policy='FlatCosineAnnealing', start_percent=0.5, min_lr=0.),
                    'lr 0.002 for 50% of the run, then falling to 0 along a cosine, by epochs'),
    'restarts': (dict(policy='CosineRestart', periods=[8, 16], restart_weights=[1, 0.5], min_lr=0.),
                 'lr 0.002, falling to 0 along a cosine, anew in each period of 8 and 16 epochs'),
    'cycles': (dict(policy='cyclic', target_ratio=(10, 1e-4), cyclic_times=2),
               'lr 0.002, up to 10 and down to 0.0001 of it, 2 times in the run, by steps'),
    'one cycle': (dict(policy='OneCycle', max_lr=0.01), 'lr up to 0.01 from 1/25 of it in 30% of the run, and down to '
                                                        '1/250000 of it, by steps'),
    'linear warm-up': (dict(policy='fixed', warmup='linear', warmup_iters=500, warmup_ratio=0.001),
                       'lr 0.002 throughout; linear warm-up from 0.001 of it over 500 steps'),
    'constant warm-up': (dict(policy='fixed', warmup='constant', warmup_iters=1, warmup_by_epoch=True),
                         'lr 0.002 throughout; 0.1 of it for the first 1 epoch'),
    'exponential warm-up': (dict(policy='fixed', warmup='exp', warmup_iters=2000, warmup_ratio=0.5),
                            'lr 0.002 throughout; exponential warm-up from 0.5 of it over 2,000 steps'),
    'none': (None, 'lr 0.002 throughout'),
}


@pytest.mark.parametrize('name', SAID)
def test_a_schedule_is_put_into_words(name):
    settings, words = SAID[name]
    cfg = Config(dict(optimizer=dict(type='SGD', lr=2e-3), lr_config=settings))
    assert rate_words(cfg) == words
    assert cfg.lr_config == settings  # which is read only


def test_an_optimizer_may_have_its_own_rate():
    assert rate_words(Config(dict(optimizer=dict(type='Adam')))) == "the optimizer's own lr throughout"


def test_every_policy_has_words_of_its_own():
    policies = {hook for name, hook in HOOKS.module_dict.items() if name.endswith('LrUpdaterHook')}
    assert policies == set(WORDS)


@pytest.mark.parametrize('steps, gamma', [([16, 22], 0.1), ([3], 0.5), (8, 0.1)])
def test_after_epoch_n_means_that_the_epoch_after_it_has_the_new_rate(steps, gamma):
    made = HOOKS.get('StepLrUpdaterHook')(step=steps, gamma=gamma)
    first = steps if isinstance(steps, int) else steps[0]
    rates = [made.rates([1.0], epoch, epoch * 10, 24, 10)[0] for epoch in range(24)]
    assert rates[first - 1] == 1.0 and rates[first] == pytest.approx(gamma)  # epochs are counted from 0 here


@pytest.mark.parametrize('number, unit, words', [(1, 'step', '1 step'), (9162, 'step', '9,162 steps'), (0, 'card', '0 cards'),
                                                 (120, 'pass', '120 passes'), (1, 'class', '1 class')])
def test_numbers_are_said_with_their_units(number, unit, words):
    assert counted(number, unit) == words


def test_lists_end_in_and():
    assert [enumerated(items) for items in (['a'], [16, 22], [1, 2, 3])] == ['a', '16 and 22', '1, 2 and 3']
