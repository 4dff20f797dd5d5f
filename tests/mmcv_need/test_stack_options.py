"""How an NPU's stack compiles and stores, as a config says."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DeviceError
from mmcv_need.registry import build
from mmcv_need.stack_options import CompileOptions


def test_by_default_operators_come_from_binaries_and_formats_are_left_alone(machine):
    """As the original toolkit had it: compiling for each shape takes half an hour at first."""
    machine(npu=1)
    CompileOptions().apply(torch.npu)
    assert torch.npu.compile_modes == [False] and vars(torch.npu.config) == {}


@pytest.mark.parametrize('value', [True, False])
def test_both_can_be_chosen(machine, value):
    machine(npu=1)
    CompileOptions(jit_compile=value, allow_internal_format=value).apply(torch.npu)
    assert torch.npu.compile_modes == [value] and vars(torch.npu.config) == {'allow_internal_format': value}


def test_a_stack_without_the_switches_says_so(machine):
    machine(npu=1, version='1.8.1', without=['set_compile_mode', 'config'])
    with pytest.warns(UserWarning, match='too old to be told how to compile: jit_compile has no effect'):
        CompileOptions().apply(torch.npu)
    with pytest.warns(UserWarning, match='no effect'), pytest.raises(DeviceError, match='too old for allow_internal_format'):
        CompileOptions(allow_internal_format=False).apply(torch.npu)


@pytest.mark.parametrize('line, said', [
    ("npu = dict(jit_compile='no')", r"c\.py:1: npu\.jit_compile: .*expected a value of type bool, not 'no'"),
    ('npu = dict(allow_internal_format=1)', r'c\.py:1: npu\.allow_internal_format: .*expected a value of type bool, not 1'),
    ('npu = dict(jit_compiler=True)', r"c\.py:1: npu\.jit_compiler: .*Did you mean 'jit_compile'")])
def test_what_is_wrong_is_told_with_its_line(tmp_path, line, said):
    (tmp_path / 'c.py').write_text(line + '\n')
    with pytest.raises(ConfigError, match=said):
        build(Config.fromfile(tmp_path / 'c.py'), CompileOptions, key='npu')
