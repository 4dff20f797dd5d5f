"""Sections of a config as objects: spellings of MMCV that mean the same."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import EvalHook
from mmcv_need.registry import build
from mmdet.apis.settings import DataSettings, EvaluationSettings


def settings_of(**evaluation):
    return build(Config(dict(evaluation=evaluation)), EvaluationSettings, key='evaluation')


@pytest.mark.parametrize('given, metric', [
    (None, None), ('bbox_mAP', 'bbox_mAP'), (['bbox_mAP'], 'bbox_mAP'), ('auto', 'auto')])
def test_the_best_is_told_by_one_metric_which_may_stand_in_a_list(given, metric):
    assert settings_of(save_best=given).when['save_best'] == metric


@pytest.mark.parametrize('given', [['bbox_mAP', 'bbox_mAP_50'], [], 5, True, [5]])
def test_anything_else_is_refused(given):
    with pytest.raises(ConfigError) as error:
        settings_of(save_best=given)
    assert str(error.value) == ('evaluation: EvaluationSettings: save_best: expected the name of one metric, such as '
                                f"'bbox_mAP', not {given!r}")


def test_what_is_better_may_be_said_of_names():
    assert EvalHook(None, **settings_of(save_best='odd', less_keys=['odd']).when).best.rule_of('odd') == 'less'
    with pytest.raises(ConfigError, match='does not say whether greater or less is better'):
        settings_of(save_best='odd', less_keys=['even'])


@pytest.mark.parametrize('colours_on, kinds', [(None, {'cpu', 'npu'}), ('worker', {'cpu', 'npu', 'cuda'}), ('device', set())])
def test_workers_distort_colours_where_the_config_or_the_device_says_so(colours_on, kinds):
    data = DataSettings(colours_on=colours_on)
    devices = [SimpleNamespace(type=kind) for kind in ('cpu', 'npu', 'cuda')]
    assert {device.type for device in devices if data.loading('train', device)['finish']} == kinds
    assert [data.loading('val', device)['pin_memory'] for device in devices] == [False, True, True]


def test_nothing_else_distorts_colours():
    with pytest.raises(ConfigError, match="colours_on 'gpu': expected 'device' or 'worker'"):
        DataSettings(colours_on='gpu')


@pytest.mark.parametrize('name', ['out_dir', 'jsonfile_prefix', 'test_fn'])
def test_what_is_not_done_is_not_passed_over(name):
    with pytest.raises(ConfigError, match=f'evaluation.{name}: EvaluationSettings .* has no such argument'):
        settings_of(**{name: 'x'})
