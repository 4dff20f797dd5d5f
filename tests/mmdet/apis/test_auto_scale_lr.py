"""The rate follows the batch as in MMDetection."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.auto_scale_lr import check_auto_scale_lr, enable_auto_scale_lr, scaled_lr


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
