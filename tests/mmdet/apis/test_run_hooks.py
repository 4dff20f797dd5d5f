"""Which hooks a config makes, and in what order they run: MMDetection's."""
from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import EvalHook
from mmcv_need.optimizer import OptimizerStep
from mmdet.apis.dialects import canonical
from mmdet.apis.listed_hooks import custom_hooks, logger_hooks
from mmdet.apis.run_hooks import register_hooks

ROOT = Path(__file__).resolve().parents[3]

EVERY_KIND = '''
lr_config = dict(policy='step', step=[2])
momentum_config = dict(policy='cyclic')
checkpoint_config = dict(interval=1)
log_config = dict(hooks=[dict(type='TextLoggerHook'), dict(type='TextLoggerHook', interval=7)])
custom_hooks = [
    dict(type='NumClassCheckHook'), dict(type='CheckInvalidLossHook', interval=50, priority='VERY_LOW'),
    dict(type='EMAHook', priority='very_high'), dict(type='TimeLimitHook', limit=300, priority=85)]
'''


def registered(cfg, tmp_path, eval_hook=None):
    """The runner of a config, with its hooks."""
    model = torch.nn.Linear(1, 1)
    runner = EpochBasedRunner(1, model=model, optimizer=OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1)),
                              device=torch.device('cpu'), work_dir=str(tmp_path), logger=logging.Logger('hooks'))
    register_hooks(runner, cfg, eval_hook)
    return runner


@pytest.fixture
def load(tmp_path):
    """Writes a config; returns what is read of it. The line numbers begin at 2 where the text begins with a line break."""
    def read(text):
        (tmp_path / 'mine.py').write_text(text)
        return canonical(Config.fromfile(tmp_path / 'mine.py'))
    return read


def order(runner):
    return [(priority, type(hook).__name__) for priority, hook, _ in runner._hooks]


def test_hooks_of_every_kind_stand_in_mmdetections_order(load, tmp_path, monkeypatch):
    monkeypatch.setenv('PROFILE_TYPE', 'TORCH')
    assert order(registered(load(EVERY_KIND), tmp_path, EvalHook(lambda runner: {}))) == [
        (0, 'StopSignalHook'), (10, 'EMAHook'), (50, 'StepLrUpdaterHook'), (50, 'CyclicMomentumUpdaterHook'),
        (50, 'CheckpointHook'), (50, 'IterTimerHook'), (50, 'DistSamplerSeedHook'), (50, 'EvalHook'),
        (50, 'NumClassCheckHook'), (50, 'ProfilerHook'), (85, 'TimeLimitHook'),
        (90, 'TextLoggerHook'), (90, 'TextLoggerHook'), (90, 'CheckInvalidLossHook')]


def test_the_shipped_config_has_these(tmp_path, monkeypatch):
    monkeypatch.delenv('PROFILE_TYPE', raising=False)
    cfg = canonical(Config.fromfile(ROOT / 'configs/ssd300_coco.py'))
    assert order(registered(cfg, tmp_path, EvalHook(lambda runner: {}))) == [
        (0, 'StopSignalHook'), (50, 'StepLrUpdaterHook'), (50, 'CheckpointHook'), (50, 'IterTimerHook'),
        (50, 'DistSamplerSeedHook'), (50, 'EvalHook'), (90, 'TextLoggerHook')]


def test_an_empty_config_has_those_that_every_run_has(load, tmp_path, monkeypatch):
    monkeypatch.delenv('PROFILE_TYPE', raising=False)
    assert order(registered(load(''), tmp_path)) == [
        (0, 'StopSignalHook'), (50, 'IterTimerHook'), (50, 'DistSamplerSeedHook')]


def test_what_a_config_leaves_out_is_mmcvs_default(load, tmp_path):
    text = "checkpoint_config = dict()\nlog_config = dict()\ncustom_hooks = [dict(type='CheckInvalidLossHook')]\n"
    hooks = {type(hook).__name__: hook for hook in registered(load(text), tmp_path).hooks}
    assert (hooks['CheckpointHook'].interval, hooks['CheckpointHook'].minutes) == (-1, 10)
    assert (hooks['TextLoggerHook'].interval, hooks['TextLoggerHook'].interval_exp_name) == (50, 1000)
    assert hooks['CheckInvalidLossHook'].interval == 50


def test_a_logger_has_its_own_interval_or_that_of_log_config(load):
    cfg = load("log_config = dict(interval=9, hooks=[dict(type='TextLoggerHook'), dict(type='TextLoggerHook', interval=7)])")
    assert [listed.hook.interval for listed in logger_hooks(cfg)] == [9, 7]


def test_a_hook_knows_its_place(load, tmp_path):
    places = [place for _, _, place in registered(load(EVERY_KIND), tmp_path)._hooks if place]
    assert f"{tmp_path / 'mine.py'}:2: lr_config" in places and f"{tmp_path / 'mine.py'}:8: custom_hooks.2" in places


@pytest.mark.parametrize('text, words', [
    ('custom_hooks = [\n    None]', 'mine.py:3: custom_hooks.0: expected the dict(type=...) of a hook, not None'),
    ("custom_hooks = ['EMAHook']", "mine.py:2: custom_hooks.0: expected the dict(type=...) of a hook, not 'EMAHook'"),
    ('custom_hooks = [dict(interval=3)]', "mine.py:2: custom_hooks.0: expected the dict(type=...) of a hook, not {'"),
    ("custom_hooks = [\n    dict(type='EMAHook',\n         priority=True)]",
     'mine.py:4: custom_hooks.0.priority: priority True is neither a number from 0 to 100 nor one of HIGHEST'),
    ("custom_hooks = [dict(type='EMAHook', priority='LATE')]", "mine.py:2: custom_hooks.0.priority: priority 'LATE'"),
    ('log_config = dict(hooks=[None])', 'mine.py:2: log_config.hooks.0: expected the dict(type=...) of a hook, not None'),
    ("log_config = dict(hooks=[dict(type='TextLoggerHook'),\n    dict(type='EMAHook')])",
     "mine.py:3: log_config.hooks.1.type: 'EMAHook' belongs to HOOKS; a LoggerHook is expected here"),
    ("log_config = dict(hooks=[dict(type='TextLogerHook')])", "Did you mean 'TextLoggerHook'?")])
def test_what_is_no_hook_or_none_for_this_place_is_named(load, text, words):
    cfg = load(f'\n{text}\n')
    with pytest.raises(ConfigError) as error:
        logger_hooks(cfg) + custom_hooks(cfg)
    assert words in str(error.value) and '\n' not in str(error.value)
