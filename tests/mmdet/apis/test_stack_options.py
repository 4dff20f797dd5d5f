"""The config's section of one kind of device: checked everywhere, used on that kind, and told of on others."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.checks import check_top_level
from mmdet.apis.stack_options import apply_stack_options, check_stack_options, idle_stack_options


@pytest.fixture
def npu(monkeypatch):
    """An NPU whose stack remembers what it was told."""
    told = SimpleNamespace(config=SimpleNamespace(), set_compile_mode=lambda jit_compile: setattr(told, 'jit', jit_compile))
    monkeypatch.setattr(torch, 'npu', told, raising=False)
    return SimpleNamespace(type='npu', told=told)


@pytest.fixture
def config(tmp_path):
    def make(text):
        (tmp_path / 'c.py').write_text(text + '\n')
        return Config.fromfile(tmp_path / 'c.py')
    return make


@pytest.mark.parametrize('text, jit, formats', [('', False, {}), ('npu = None', False, {}), ('npu = dict()', False, {}),
                                                ('npu = dict(jit_compile=True, allow_internal_format=False)', True,
                                                 {'allow_internal_format': False})])
def test_a_run_on_an_npu_uses_the_section_or_the_toolkits_own_choice(npu, config, text, jit, formats):
    cfg = config(text)
    check_top_level(cfg)
    check_stack_options(cfg)
    apply_stack_options(cfg, npu)
    assert npu.told.jit is jit and vars(npu.told.config) == formats
    assert idle_stack_options(cfg, npu) == []


def test_a_run_on_another_device_takes_it_and_says_that_it_has_no_effect(npu, config):
    cfg = config('npu = dict(jit_compile=True)')
    check_top_level(cfg)
    check_stack_options(cfg)
    apply_stack_options(cfg, torch.device('cpu'))
    assert not hasattr(npu.told, 'jit')
    line, = idle_stack_options(cfg, torch.device('cpu'))
    assert line.endswith('c.py:1: npu: has no effect: the run is on cpu')
    assert idle_stack_options(config(''), torch.device('cpu')) == []


@pytest.mark.parametrize('text, said', [('npu = dict(jit=True)', r'c\.py:1: npu\.jit: .*has no such argument'),
                                        ('npu = dict(jit_compile=0)', r'jit_compile: .*expected a value of type bool, not 0')])
def test_what_is_wrong_is_told_whatever_the_device_is(config, text, said):
    with pytest.raises(ConfigError, match=said):
        check_stack_options(config(text))
    with pytest.raises(ConfigError, match=said):
        apply_stack_options(config(text), torch.device('cpu'))


def test_the_section_is_a_dict(config):
    with pytest.raises(ConfigError, match=r'c\.py:1: npu: expected a dict, not True'):
        check_top_level(config('npu = True'))
