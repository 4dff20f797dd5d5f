"""Every spelling of optimizer, clipping and accumulation becomes the one."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.dialects import canonical

SGD, CLIP, RULES = dict(type='SGD', lr=0.1), dict(max_norm=35, norm_type=2), dict(norm_decay_mult=0.0)


@pytest.mark.parametrize('given, expected', [
    (dict(grad_clip=None), dict(grad_clip=None)), (dict(grad_clip=CLIP), dict(grad_clip=CLIP)),
    (dict(type='OptimizerHook', grad_clip=CLIP, detect_anomalous_params=False), dict(grad_clip=CLIP)),
    (dict(type='DistOptimizerHook', grad_clip=None, coalesce=True, bucket_size_mb=-1), dict(grad_clip=None)),
    (dict(type='GradientCumulativeOptimizerHook', cumulative_iters=4), dict(cumulative_iters=4)),
    (dict(type='GradientCumulativeFp16OptimizerHook', loss_scale=2.0, cumulative_iters=4, grad_clip=CLIP),
     dict(cumulative_iters=4, grad_clip=CLIP)),
    (dict(cumulative_iters=4), dict(cumulative_iters=4)), (None, None)])
def test_mmcvs_hooks_by_name_are_settings(given, expected):
    assert canonical(Config(dict(optimizer_config=given))).optimizer_config == expected


@pytest.mark.parametrize('given, expected', [
    (dict(type='OptimWrapper', optimizer=SGD), dict(optimizer=SGD)),
    (dict(optimizer=SGD, clip_grad=None, paramwise_cfg=None), dict(optimizer=SGD)),
    (dict(optimizer=SGD, clip_grad=CLIP), dict(optimizer=SGD, optimizer_config=dict(grad_clip=CLIP))),
    (dict(optimizer=SGD, clip_grad=dict(type='norm', max_norm=3)),
     dict(optimizer=SGD, optimizer_config=dict(grad_clip=dict(max_norm=3)))),
    (dict(optimizer=SGD, accumulative_counts=4), dict(optimizer=SGD, optimizer_config=dict(cumulative_iters=4))),
    (dict(optimizer=SGD, paramwise_cfg=RULES, constructor='DefaultOptimWrapperConstructor'),
     dict(optimizer=dict(SGD, paramwise_cfg=RULES, constructor='DefaultOptimizerConstructor'))),
    (dict(type='AmpOptimWrapper', optimizer=SGD, clip_grad=CLIP, accumulative_counts=2),
     dict(optimizer=SGD, optimizer_config=dict(grad_clip=CLIP, cumulative_iters=2), precision=dict(opt_level='O1')))])
def test_the_wrapper_of_3_x_becomes_the_sections_of_2_x(given, expected):
    assert canonical(Config(dict(optim_wrapper=given))).to_dict() == expected


def test_a_wrapper_fills_what_is_none():
    cfg = canonical(Config(dict(optimizer=None, optimizer_config=None, optim_wrapper=dict(optimizer=SGD, clip_grad=CLIP))))
    assert cfg.to_dict() == dict(optimizer=SGD, optimizer_config=dict(grad_clip=CLIP))


@pytest.mark.parametrize('text, words', [
    ("optimizer = dict(type='SGD')\noptim_wrapper = dict(\n    optimizer=dict(type='Adam'))",
     ['c.py:3: optim_wrapper.optimizer and optimizer (', 'c.py:1) say the same thing twice. Keep optimizer']),
    ("optimizer_config = dict(grad_clip=dict(max_norm=1))\noptim_wrapper = dict(optimizer={}, clip_grad=dict(max_norm=2))",
     ['c.py:2: optim_wrapper.clip_grad and optimizer_config.grad_clip', 'twice']),
    ("optim_wrapper = dict(\n    optimizer=dict(paramwise_cfg=dict(bias_lr_mult=1)), paramwise_cfg=dict(bias_lr_mult=1))",
     ['c.py:2: optim_wrapper.paramwise_cfg and optimizer.paramwise_cfg', 'twice']),
    ("optim_wrapper = dict(\n    type='AmpOptimWraper', optimizer={})", ['c.py:2: optim_wrapper.type', "'AmpOptimWrapper'?"]),
    ("optim_wrapper = dict(type='OptimWrapper', optimizer={},\n    loss_scale=2.)", ['c.py:2: optim_wrapper.loss_scale: ']),
    ("optim_wrapper = dict(type='AmpOptimWrapper', optimizer={},\n    los_scale=2.)", ['c.py:2: ', "mean 'loss_scale'?"]),
    ("optim_wrapper = dict(type='OptimWrapper')", ['c.py:1: optim_wrapper: needs an optimizer']),
    ("optim_wrapper = 'OptimWrapper'", ['c.py:1: optim_wrapper: expected a dict']),
    ("optim_wrapper = dict(optimizer={}, clip_grad=dict(\n    type='value', clip_value=1))",
     ["c.py:2: optim_wrapper.clip_grad.type: only 'norm' is supported, not 'value'"]),
    ('optim_wrapper = dict(optimizer={}, clip_grad=35)', ['c.py:1: optim_wrapper.clip_grad: expected a dict, not 35']),
    ("optimizer_config = dict(\n    type='OptimiserHook')", ['c.py:2: optimizer_config.type', "Did you mean 'OptimizerHook'?"]),
    ('optimizer_config = dict(type=[1])', ['c.py:1: optimizer_config.type: nothing is called']),
    ('optimizer_config = [1]', ['c.py:1: optimizer_config: expected a dict'])])
def test_what_is_wrong_is_named_with_its_line(text, words, tmp_path):
    (tmp_path / 'c.py').write_text(text)
    with pytest.raises(ConfigError) as caught:
        canonical(Config.fromfile(tmp_path / 'c.py'))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_only_a_hook_of_mmcv_can_do_is_left_to_be_refused():
    cfg = canonical(Config(dict(optimizer_config=dict(type='OptimizerHook', detect_anomalous_params=True))))
    assert cfg.optimizer_config == dict(detect_anomalous_params=True)  # no setting is called so
