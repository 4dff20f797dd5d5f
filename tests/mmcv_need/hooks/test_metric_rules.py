"""Which values of a metric are better, and what counts as a value."""
from __future__ import annotations

import numpy as np
import pytest

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.metric_rules import better_rule, metric_value


@pytest.mark.parametrize('metric', [
    'mAP', 'bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_s', 'coco/bbox_mAP_75', 'pascal_voc/mAP', 'AP50', 'AR@100', 'AR_s@1000',
    'bbox_AR@300', 'recall', 'recall@300@0.5', 'acc', 'top1_acc', 'accuracy_top-1', 'mIoU', 'aAcc', 'auc', 'precision'])
def test_of_a_score_the_greater_values_are_better(metric):
    assert better_rule(metric) == 'greater'


@pytest.mark.parametrize('metric', ['loss', 'loss_cls', 'val_loss', 'bbox/loss', 'loss_acc'])
def test_of_a_loss_the_smaller_values_are_better(metric):
    assert better_rule(metric) == 'less'


@pytest.mark.parametrize('metric', ['heatmap_error', 'arbitrary', 'topology', 'glossy', 'x', ''])
def test_a_name_that_only_looks_like_one_says_nothing(metric):
    with pytest.raises(ConfigError, match="^'" + metric + "': the name of this metric does not say.*Set rule='greater' or"):
        better_rule(metric)


@pytest.mark.parametrize('rule', ['greater', 'less'])
def test_what_the_config_says_settles_it(rule):
    assert better_rule('bbox_mAP', rule) == better_rule('x', rule) == rule


@pytest.mark.parametrize('metric, keys, expected', [
    ('fineness', dict(greater_keys=['FINE']), 'greater'), ('error_rate', dict(less_keys='error'), 'less'),
    ('bbox_mAP', dict(less_keys=('mAP',)), 'less'), ('val_loss', dict(greater_keys=['fine']), 'less'),
    ('fine_error', dict(greater_keys=['fine'], less_keys=['error']), 'greater')])
def test_what_the_config_says_of_names_goes_before_what_they_say_themselves(metric, keys, expected):
    assert better_rule(metric, **keys) == expected
    assert better_rule(metric, 'less', **keys) == 'less'


def test_another_rule_is_refused():
    with pytest.raises(ConfigError, match=r"^rule: expected 'greater' or 'less', not 'max'$"):
        better_rule('mAP', 'max')


@pytest.mark.parametrize('value', [1, 0.25, np.float32(0.25), np.int64(3), float('inf')])
def test_a_number_of_any_kind_is_a_value(value):
    assert metric_value('mAP', {'AR': 0, 'mAP': value}, 'x') == float(value)


@pytest.mark.parametrize('value', ['0.1 0.2', None, [0.5], True])
def test_what_is_no_number_is_an_error_that_names_those_that_are(value):
    with pytest.raises(ConfigError) as error:
        metric_value('mAP_text', {'mAP': 0.5, 'mAP_text': value}, 'evaluation.save_best')
    assert str(error.value) == f"evaluation.save_best: 'mAP_text' is {value!r}, no number. Known: mAP."


def test_what_is_not_there_is_an_error_that_names_the_nearest():
    with pytest.raises(ConfigError, match=r"^x: 'mAP_5O' is not among the values\. Did you mean 'mAP_50'[?]$"):
        metric_value('mAP_5O', {'mAP': 0.5, 'mAP_50': 0.5}, 'x')
