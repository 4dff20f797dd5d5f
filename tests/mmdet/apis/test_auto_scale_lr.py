"""The rate follows the batch as in MMDetection."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.auto_scale_lr import (
    cards_of_recipe,
    check_auto_scale_lr,
    enable_auto_scale_lr,
    meant_batch,
    rate_doubts,
    scaled_lr,
)


def config(scaling, data=None, **more):
    return Config(dict(optimizer=dict(type='SGD', lr=2e-3), auto_scale_lr=scaling,
                       data=dict(samples_per_gpu=8) if data is None else data, **more))


@pytest.mark.parametrize('cards, data, expected', [
    (8, dict(samples_per_gpu=8), 2e-3), (1, dict(samples_per_gpu=8), 2e-3 / 8), (16, dict(samples_per_gpu=8), 4e-3),
    (1, dict(samples_per_gpu=2, train_dataloader=dict(samples_per_gpu=32)), 1e-3), (4, {}, 2e-3 / 16)])
def test_the_rate_is_as_many_times_as_large_as_the_batch(cards, data, expected):
    cfg = config(dict(enable=True, base_batch_size=64), data)
    line = scaled_lr(cfg, cards)
    assert cfg.optimizer.lr == pytest.approx(expected, rel=1e-15)
    assert f'lr 0.002 -> {expected:g}' in line


def test_the_line_says_what_the_batch_is_made_of():
    assert scaled_lr(config(dict(enable=True, base_batch_size=64)), 4) == \
        'auto_scale_lr: lr 0.002 -> 0.001: 4 x 8 pictures a step, and the config is for 64'


def test_it_is_done_once():
    cfg = config(dict(enable=True, base_batch_size=64))
    scaled_lr(cfg, 1)
    again = Config(cfg.to_dict())  # as a dumped config would be read
    assert scaled_lr(again, 1) is None and again.optimizer.lr == 2e-3 / 8


def test_accumulated_iterations_do_not_count():
    cfg = config(dict(enable=True, base_batch_size=64), optimizer_config=dict(cumulative_iters=8))
    scaled_lr(cfg, 1)
    assert cfg.optimizer.lr == 2e-3 / 8


@pytest.mark.parametrize('scaling', [None, {}, dict(enable=False, base_batch_size=64), dict(base_batch_size=64),
                                     dict(enable=False)])
def test_turned_off_it_does_nothing(scaling):
    cfg = config(scaling)
    assert scaled_lr(cfg, 1) is None and cfg.optimizer.lr == 2e-3
    assert scaled_lr(Config(dict(optimizer=dict(lr=1.0))), 1) is None


def test_the_command_line_turns_it_on():
    cfg = config(dict(enable=False, base_batch_size=16))
    enable_auto_scale_lr(cfg)
    scaled_lr(cfg, 1)
    assert cfg.optimizer.lr == 1e-3


@pytest.mark.parametrize('scaling', [None, {}, dict(enable=False)])
def test_without_a_batch_the_command_line_cannot(scaling):
    with pytest.raises(ConfigError, match=r'^--auto-scale-lr: auto_scale_lr needs base_batch_size'):
        enable_auto_scale_lr(config(scaling))


@pytest.mark.parametrize('scaling, words', [
    (dict(enable=True), 'needs base_batch_size: how many pictures'),
    (dict(enable=True, base_batch_size=0), 'at least 1, not 0'),
    (dict(enable=True, base_batch=64), "no such argument. Did you mean 'base_batch_size'?"),
    (dict(enable='yes', base_batch_size=64), "expected a value of type bool, not 'yes'")])
def test_what_is_wrong_is_named(scaling, words):
    with pytest.raises(ConfigError) as caught:
        check_auto_scale_lr(config(scaling))
    assert words in str(caught.value)


def test_a_rate_is_needed():
    cfg = Config(dict(optimizer=dict(type='Adam'), auto_scale_lr=dict(enable=True, base_batch_size=64)))
    with pytest.raises(ConfigError, match=r'auto_scale_lr scales optimizer\.lr, which is no number'):
        scaled_lr(cfg, 1)


def published(lr=2e-3, kind='CocoDataset', samples=8, optimizer='SGD', scaling=None, accumulated=1, **backbone):
    return Config(dict(
        model=dict(backbone=dict(type='SSDVGG', **backbone)), optimizer=dict(type=optimizer, lr=lr), auto_scale_lr=scaling,
        data=dict(samples_per_gpu=samples, train=dict(type='RepeatDataset', times=5, dataset=dict(type=kind))),
        optimizer_config=dict(cumulative_iters=accumulated)))


@pytest.mark.parametrize('settings, batch', [
    (dict(), 64), (dict(lr=2.5e-4), 8), (dict(lr=1e-3, kind='VOCDataset'), 64), (dict(lr=1e-3, kind='CustomDataset'), 32),
    (dict(lr=1., scaling=dict(base_batch_size=24)), 24), (dict(optimizer='AdamW'), None), (dict(width_factor=0.25), None),
    (dict(norm_cfg=dict(type='BN')), None), (dict(optimizer='AdamW', scaling=dict(base_batch_size=24)), 24)])
def test_what_a_rate_is_for_is_what_the_config_says_or_what_ssd_is_published_with(settings, batch):
    assert meant_batch(published(**settings)) == (None if batch is None else pytest.approx(batch))


@pytest.mark.parametrize('settings, cards', [(dict(), 8), (dict(samples=32), 2), (dict(samples=64), 1), (dict(samples=2), 8),
                                             (dict(lr=2.5e-4), 1), (dict(optimizer='AdamW'), 1), (dict(lr=1e-9), 1)])
def test_a_recipe_is_for_the_cards_that_make_its_batch_up_to_eight(settings, cards):
    assert cards_of_recipe(published(**settings)) == cards


@pytest.mark.parametrize('settings, cards, rate', [
    (dict(), 8, None), (dict(), 4, None), (dict(), 16, None), (dict(), 3, '0.00075'), (dict(), 17, '0.00425'),
    (dict(), 1, '0.00025'), (dict(lr=0.02), 8, '0.002'), (dict(accumulated=8), 1, None), (dict(accumulated=8), 8, None),
    (dict(accumulated=3), 32, '0.024'), (dict(optimizer='AdamW'), 1, None),
    (dict(lr=1e-3, kind='VOCDataset'), 1, '0.000125')])
def test_a_rate_that_is_off_by_more_than_two_is_told_with_the_one_that_fits(settings, cards, rate):
    lines = rate_doubts(published(**settings), cards)
    assert len(lines) == (rate is not None)
    for line in lines:
        assert line.startswith('optimizer.lr: ') and line.endswith(f'By the linear rule optimizer.lr={rate} fits')


def test_a_rate_that_was_scaled_fits():
    cfg = published(scaling=dict(enable=True, base_batch_size=64))
    assert scaled_lr(cfg, 1) and cfg.optimizer.lr == 2.5e-4
    assert rate_doubts(cfg, 1) == [] and cfg.auto_scale_lr == dict(enable=False, base_batch_size=8)
