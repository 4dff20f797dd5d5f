"""Every spelling of precision becomes the one; what a command line says goes before it."""
from __future__ import annotations

import itertools

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.optim.loss_scale import LossScale
from mmdet.apis.dialects import canonical
from mmdet.apis.dialects.precision import override_precision

O1, SGD = dict(opt_level='O1', dtype='float16'), dict(type='SGD', lr=0.1)
BF16 = dict(opt_level='O1', dtype='bfloat16')
GROWING = dict(init_scale=1024.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=1000)


def amp(**settings):
    return dict(optim_wrapper=dict(type='AmpOptimWrapper', optimizer=SGD, **settings))


def apex(**settings):
    return dict(optim_wrapper=dict(type='ApexOptimWrapper', optimizer=SGD, **settings))


def hook(kind='Fp16OptimizerHook', **settings):
    return dict(optimizer_config=dict(type=kind, **settings))


SPELLINGS = [
    (dict(fp16=dict(loss_scale=512.0)), dict(O1, loss_scale=512.0)),
    (dict(fp16=dict()), dict(O1, loss_scale=512.0)),  # MMCV's default
    (dict(fp16=dict(loss_scale='dynamic')), dict(O1, loss_scale='dynamic')),
    (dict(fp16=dict(loss_scale=GROWING)), dict(O1, loss_scale=GROWING)),
    (dict(fp16=dict(loss_scale=8, coalesce=False, bucket_size_mb=32, distributed=True)), dict(O1, loss_scale=8)),
    (dict(opt_level='O1', loss_scale=128.0), dict(opt_level='O1', loss_scale=128.0)),
    (dict(opt_level='O2', loss_scale='128'), dict(opt_level='O2', loss_scale=128.0)),
    (dict(opt_level='O2'), dict(opt_level='O2')),
    (dict(opt_level='O0', loss_scale=None), dict(opt_level='O0')),
    (dict(precision='fp32'), dict(opt_level='O0')), (dict(precision='float32'), dict(opt_level='O0')),
    (dict(precision='fp16'), O1), (dict(precision='float16'), O1), (dict(precision='16-mixed'), O1),
    (dict(precision='bf16'), BF16), (dict(precision='bfloat16'), BF16), (dict(precision='bf16-mixed'), BF16),
    (dict(precision=dict(opt_level='O2', dtype='bf16')), dict(opt_level='O2', dtype='bfloat16')),
    (dict(precision=dict(dtype='bfloat16')), BF16),
    (dict(precision=dict(loss_scale=64.0)), dict(opt_level='O1', loss_scale=64.0)),
    (dict(precision=dict(opt_level='O1', dtype=None, loss_scale=None)), dict(opt_level='O1')),
    (hook(), dict(O1, loss_scale=512.0)),
    (hook(loss_scale='dynamic', grad_clip=None, coalesce=True, bucket_size_mb=-1, distributed=True),
     dict(O1, loss_scale='dynamic')),
    (hook('GradientCumulativeFp16OptimizerHook', loss_scale=64.0, cumulative_iters=4), dict(O1, loss_scale=64.0)),
    (amp(), dict(opt_level='O1')),
    (amp(loss_scale=512.0, dtype='float16'), dict(O1, loss_scale=512.0)),
    (amp(loss_scale=GROWING, dtype=None), dict(opt_level='O1', loss_scale=GROWING)),
    (amp(loss_scale='dynamic', dtype='bfloat16'), BF16),  # the range of float32 needs no scale
    (apex(), dict(opt_level='O1')), (apex(opt_level='O2', loss_scale='128.0'), dict(opt_level='O2', loss_scale=128.0)),
]


@pytest.mark.parametrize('given, expected', SPELLINGS)
def test_each_spelling_becomes_the_one(given, expected):
    cfg = canonical(Config(given))
    assert cfg.precision == expected
    assert not set(cfg) & {'fp16', 'opt_level', 'loss_scale', 'optim_wrapper'}
    assert not set(cfg.get('optimizer_config') or {}) - {'grad_clip', 'cumulative_iters'}
    again = cfg.to_dict()
    assert canonical(Config(again)).to_dict() == again  # and that one stays


@pytest.mark.parametrize('given', [
    {}, dict(fp16=None), dict(precision=None), dict(opt_level=None, fp16=None), dict(optimizer_config=dict(grad_clip=None)),
    dict(optimizer_config=dict(type='OptimizerHook')), dict(optim_wrapper=dict(type='OptimWrapper', optimizer=SGD)),
    dict(optim_wrapper=dict(optimizer=SGD)), dict(optim_wrapper=None)])
def test_a_config_that_says_nothing_of_it_gets_none(given):
    cfg = canonical(Config(given))
    assert not {'precision', 'fp16', 'optim_wrapper'} & set(cfg)


SOURCES = {'precision': dict(precision='bf16'), 'fp16': dict(fp16=dict(loss_scale=1.0)), 'opt_level': dict(opt_level='O1'),
           'optimizer_config.type': hook(), 'optim_wrapper.type': amp()}


@pytest.mark.parametrize('first, second', list(itertools.permutations(SOURCES, 2)))
def test_it_is_said_in_one_place(first, second, tmp_path):
    lines = [f'{key} = {value!r}' for key, value in {**SOURCES[first], **SOURCES[second]}.items()]
    (tmp_path / 'c.py').write_text('\n'.join(lines))
    with pytest.raises(ConfigError, match=r'say the same thing twice\. Keep') as caught:
        canonical(Config.fromfile(tmp_path / 'c.py'))
    for key, line in ((first, 1), (second, 2)):
        assert key in str(caught.value) and f'c.py:{line}' in str(caught.value)


@pytest.mark.parametrize('text, place, words', [
    ("precision = 'fp61'", '1: precision: ', "nothing is called 'fp61'. Did you mean 'fp16'?"),
    ('precision = 16', '1: precision: ', 'expected a dict, not 16'),
    ('fp16 = dict(\n    scale=512.)', '2: fp16.scale: ', "Did you mean 'loss_scale'?"),
    ('fp16 = 512.', '1: fp16: ', 'expected a dict, not 512.0'),
    ('fp16 = dict()\nloss_scale = 128.', '2: loss_scale: ', 'fp16 comes with its own'),
    ('loss_scale = 128.', '1: loss_scale: ', "nothing computes in half precision. Add opt_level = 'O1'"),
    ("opt_level = 'O1'\nloss_scale = 'dynamc'", '2: precision.loss_scale: ', "'dynamic', not 'dynamc'"),
    ("optimizer_config = dict(type='Fp61OptimizerHook')", '1: optimizer_config.type: ', "Did you mean 'Fp16OptimizerHook'?"),
])
def test_what_is_wrong_is_named_with_its_line(text, place, words, tmp_path):
    (tmp_path / 'c.py').write_text(text)
    with pytest.raises(ConfigError) as caught:
        canonical(Config.fromfile(tmp_path / 'c.py'))
    assert f'c.py:{place}' in str(caught.value) and words in str(caught.value)


def test_each_value_keeps_the_line_that_it_was_written_in(tmp_path):
    (tmp_path / 'c.py').write_text("fp16 = dict(\n    loss_scale=8.)")
    cfg = canonical(Config.fromfile(tmp_path / 'c.py'))
    assert cfg.where('precision.loss_scale').endswith('c.py:2') and cfg.where('precision.opt_level').endswith('c.py:1')
    (tmp_path / 'd.py').write_text("optim_wrapper = dict(\n    type='AmpOptimWrapper',\n    dtype='bfloat16',\n"
                                   "    optimizer=dict(\n        lr=1))")
    cfg = canonical(Config.fromfile(tmp_path / 'd.py'))
    assert [cfg.where(key)[-1] for key in ('precision', 'precision.dtype', 'optimizer', 'optimizer.lr')] == list('2345')


def test_a_loss_scale_that_another_spelling_is_made_of_says_nothing_itself(tmp_path):
    (tmp_path / 'c.py').write_text('loss_scale = 64.\nfp16 = dict(loss_scale=loss_scale)')
    assert canonical(Config.fromfile(tmp_path / 'c.py')).precision == dict(O1, loss_scale=64.0)
    cfg = Config.fromfile(tmp_path / 'c.py')
    cfg.merge_from_dict({'loss_scale': 32.0})  # too late for the file to make anything of it
    with pytest.raises(ConfigError, match='--cfg-options: loss_scale: fp16 comes with its own'):
        canonical(cfg)


def test_a_level_that_another_spelling_is_made_of_says_nothing_itself(tmp_path):
    (tmp_path / 'c.py').write_text("opt_level = 'O2'\nprecision = dict(opt_level=opt_level, dtype='bf16')")
    assert canonical(Config.fromfile(tmp_path / 'c.py')).precision == dict(opt_level='O2', dtype='bfloat16')


@pytest.mark.parametrize('option, level', [({}, 'O2'), ({'opt_level': 'O1'}, 'O1')])
def test_a_level_counts_even_if_other_values_are_made_of_it(option, level, tmp_path):
    (tmp_path / 'c.py').write_text("opt_level = 'O2'\nloss_scale = 128.\nwork_dir = 'work_dirs/' + opt_level")
    cfg = Config.fromfile(tmp_path / 'c.py')
    cfg.merge_from_dict(option)
    assert canonical(cfg).precision == dict(opt_level=level, loss_scale=128.0)


@pytest.mark.parametrize('given, expected', [
    (dict(init_scale=512.0, mode='dynamic'),
     dict(init_scale=512.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=1000)),
    (dict(mode='dynamic', scale_factor=4, scale_window=10),
     dict(init_scale=2.0 ** 32, growth_factor=4, backoff_factor=0.25, growth_interval=10)),
    (dict(init_scale=64.0, mode='static'), 64.0),
    (dict(init_scale=256.0, growth_interval=5, enabled=True), dict(init_scale=256.0, growth_interval=5))])
def test_the_scalers_of_mmcv_and_of_torch_may_be_described_by_their_arguments(given, expected):
    assert canonical(Config({'fp16': dict(loss_scale=given)})).precision == dict(O1, loss_scale=expected)


@pytest.mark.parametrize('given', [dict(mode='fast'), dict(mode='dynamic', scale_factor=1), dict(mode='dynamic', window=3),
                                   dict(init_scale=8.0, enabled=False), dict(mode='static', growth_factor=3.0)])
def test_a_scaler_that_makes_no_sense_is_refused_by_the_loss_scale(given):
    scale = canonical(Config({'fp16': dict(loss_scale=given)})).precision.loss_scale
    with pytest.raises(ConfigError, match='loss_scale'):
        LossScale(scale, torch.device('cpu'))


# Command lines

HALF = dict(fp16=dict(loss_scale=512.0))


@pytest.mark.parametrize('given, flags, expected', [
    ({}, dict(opt_level='O1'), dict(opt_level='O1')), ({}, dict(amp=True), dict(opt_level='O1')),
    ({}, dict(opt_level='O2', loss_scale='128'), dict(opt_level='O2', loss_scale=128.0)),
    ({}, dict(amp=True, loss_scale='dynamic'), dict(opt_level='O1', loss_scale='dynamic')),
    ({}, dict(opt_level='O0'), dict(opt_level='O0')),
    (HALF, {}, dict(O1, loss_scale=512.0)), (HALF, dict(amp=True), dict(O1, loss_scale=512.0)),
    (HALF, dict(opt_level='O2'), dict(O1, opt_level='O2', loss_scale=512.0)),
    (HALF, dict(opt_level='O0'), dict(O1, opt_level='O0')),  # float32 needs no scale
    (HALF, dict(loss_scale='64'), dict(O1, loss_scale=64.0)),
    (dict(precision=dict(loss_scale=GROWING)), dict(loss_scale='32'), dict(opt_level='O1', loss_scale=32.0)),
    (dict(opt_level='O2'), dict(amp=True), dict(opt_level='O2')),
    (dict(precision='bf16'), dict(opt_level='O2'), dict(BF16, opt_level='O2')),
    (dict(precision='fp32'), dict(amp=True), dict(opt_level='O1')),
])
def test_a_flag_replaces_what_the_config_says(given, flags, expected):
    cfg = canonical(Config(given))
    override_precision(cfg, **flags)
    assert cfg.get('precision') == expected


def test_no_flag_changes_nothing():
    cfg = canonical(Config({}))
    override_precision(cfg)
    assert cfg.to_dict() == {}


@pytest.mark.parametrize('given, flags, words', [
    ({}, dict(loss_scale='128'), '--loss-scale 128: nothing computes in half precision. Add --opt-level O1'),
    (HALF, dict(opt_level='O0', loss_scale='128'), '--loss-scale 128: float32 needs none'),
    (dict(precision='bf16'), dict(loss_scale='dynamic'),
     '--loss-scale dynamic: bfloat16 has the range of float32 and needs none'),
    ({}, dict(opt_level='O1', loss_scale='dynamc'), "--loss-scale: expected a number such as 128., or 'dynamic', not 'dynamc'"),
    ({}, dict(opt_level='O1', amp=True), '--amp and --opt-level O1 say the same thing twice; --amp means O1')])
def test_flags_that_contradict_are_refused(given, flags, words):
    cfg = canonical(Config(given))
    with pytest.raises(ConfigError) as caught:
        override_precision(cfg, **flags)
    assert str(caught.value) == words


def test_what_a_flag_said_is_known_as_its():
    cfg = canonical(Config({}))
    override_precision(cfg, opt_level='O3', loss_scale='2')
    assert (cfg.where('precision.opt_level'), cfg.where('precision.loss_scale')) == ('--opt-level', '--loss-scale')
    cfg = canonical(Config({}))
    override_precision(cfg, amp=True)
    assert cfg.where('precision.opt_level') == '--amp'
