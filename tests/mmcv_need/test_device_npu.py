"""torch_npu as it is found: loaded by itself or imported, broken in each way that it is known to break."""
from __future__ import annotations

import importlib
import os
import sys

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.errors import DeviceError

# As torch_npu and its users report them.
NO_CANN = ("libhccl.so: cannot open shared object file: No such file or directory. Please check that the cann package is "
           "installed. Please run 'source set_env.sh' in the CANN installation path.\n[ERROR] 2024-06-20-10:41:32 (PID:59450, "
           "Device:-1, RankID:-1) ERR00008 PTA resource not found")
NO_ACL = 'libascendcl.so: cannot open shared object file: No such file or directory'
OTHER_CANN = '/usr/lib/libtorch_npu.so: undefined symbol: aclrtGetSomething'


def refusal(name='npu'):
    """The line that refuses a device."""
    with pytest.raises(DeviceError) as caught:
        devices.select(name)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_torch_npu_is_there_already_where_torch_loads_it_by_itself(torch_npu):
    torch_npu('2.6.0', fails=None)()
    assert tuple(devices.select('auto')) == ('npu', 0) and torch.npu.opened == ['npu:0']


def test_an_older_torch_needs_an_import(torch_npu):
    torch_npu('2.1.0')
    assert 'torch_npu' not in sys.modules
    assert tuple(devices.select('auto', index=3)) == ('npu', 3) and torch.npu.opened == ['npu:3']


@pytest.mark.parametrize('version', ['1.8.1.post1', '2.1.0.post13', '2.6.0', '2.13.0'])
def test_a_torch_npu_for_this_torch_is_used(torch_npu, version):
    torch_npu(version)
    assert devices.select('npu:7').index == 7


def test_a_torch_npu_that_was_not_installed_has_no_version_to_compare(torch_npu, tmp_path):
    torch_npu('2.1.0', torch_version='2.6.0')
    (tmp_path / 'torch_npu-2.1.0.dist-info' / 'METADATA').unlink()
    (tmp_path / 'torch_npu-2.1.0.dist-info').rmdir()
    importlib.invalidate_caches()
    assert devices.is_usable('npu')


@pytest.mark.parametrize('version, torch_version, other, own', [('2.7.1.post8', '2.6.0', '2.7', '2.6'),
                                                                 ('2.1.0', '2.11.0', '2.1', '2.11'),
                                                                 ('1.11.0', '1.8.1', '1.11', '1.8')])
def test_a_torch_npu_for_another_torch_is_refused_before_it_can_crash(torch_npu, version, torch_version, other, own):
    torch_npu(version, torch_version)
    line = refusal('auto')
    assert 'torch_npu' not in sys.modules
    for words in (f'torch_npu {version} goes with torch {other}', f'pip install torch-npu=={own}.*', '--device cpu'):
        assert words in line


def test_torch_npu_beside_a_torch_for_cuda_is_refused_before_it_can_crash(torch_npu, monkeypatch):
    torch_npu('2.6.0')
    monkeypatch.setattr(torch.version, 'cuda', '12.4')
    line = refusal('auto')
    assert 'torch_npu' not in sys.modules
    for words in ('needs the CPU build: pip install torch==2.6.* --index-url https://download.pytorch.org/whl/cpu',
                  '--device cuda', '--device cpu'):
        assert words in line


@pytest.mark.parametrize('text', [NO_CANN, NO_ACL])
def test_without_the_environment_of_cann_both_scripts_are_named(torch_npu, text):
    torch_npu('2.6.0', fails=text)
    line = refusal('auto')
    new, old, _ = devices.SET_ENV
    library = text.split(':')[0]
    for words in ('the environment of CANN is not set', library, f'`source {new}` or `source {old}` of', '--device cpu'):
        assert words in line


@pytest.mark.parametrize('layout', [0, 1, 2])
def test_of_the_scripts_of_cann_the_one_that_is_here_is_named(torch_npu, layout):
    torch_npu('2.6.0', fails=NO_CANN)
    path = devices.SET_ENV[layout]
    os.makedirs(os.path.dirname(path))
    with open(path, 'w') as file:
        file.write('export ASCEND_HOME_PATH=...')
    assert f'Run `source {path}` of the CANN' in refusal()


@pytest.mark.parametrize('variable', ['ASCEND_HOME_PATH', 'ASCEND_TOOLKIT_HOME'])
def test_a_library_that_a_cann_lacks_is_the_fault_of_that_cann(torch_npu, monkeypatch, variable):
    torch_npu('2.6.0', fails=OTHER_CANN, error='OSError')
    monkeypatch.setenv(variable, '/opt/cann-7.0')
    assert 'the CANN at /opt/cann-7.0 lacks what it needs (OSError: /usr/lib/libtorch_npu.so: undefined symbol' in refusal()


@pytest.mark.parametrize('error, text', [('RuntimeError', 'Initialize failed\n[ERROR]'), ('AttributeError', 'no _autoload')])
def test_any_other_failure_to_import_is_told_as_it_is(torch_npu, monkeypatch, error, text):
    torch_npu('2.6.0', fails=text, error=error)
    monkeypatch.setenv('ASCEND_HOME_PATH', '/opt/cann')
    line = refusal('auto')
    assert f'does not import ({error}: {text.splitlines()[0]})' in line and '--device cpu' in line


def test_a_package_that_torch_npu_misses_is_not_blamed_on_cann(torch_npu):
    torch_npu('2.6.0', fails="No module named 'yaml'", error='ModuleNotFoundError')
    assert "does not import (ModuleNotFoundError: No module named 'yaml')" in refusal()


def test_a_broken_torch_npu_does_not_keep_anyone_from_the_cpu(torch_npu):
    torch_npu('2.6.0', fails=NO_CANN)
    assert devices.select('cpu') == torch.device('cpu')


@pytest.mark.parametrize('cards, said', [(0, 'no NPU is visible. Check'),
                                         (-1, 'is visible (Initialize:aclrtGetDeviceCount failed, ret = 507899). Check')])
@pytest.mark.parametrize('name', ['auto', 'npu'])
def test_torch_npu_without_a_card_is_an_error_and_not_passed_over(machine, monkeypatch, cards, said, name):
    machine(npu=cards, cuda=1)
    for words in (said, '`npu-smi info`', 'ASCEND_RT_VISIBLE_DEVICES (which is not set)', '--device cpu'):
        assert words in refusal(name)
    monkeypatch.setenv('ASCEND_RT_VISIBLE_DEVICES', '9')
    assert 'ASCEND_RT_VISIBLE_DEVICES (9)' in refusal(name)


def test_a_card_that_cannot_be_opened_is_named(torch_npu):
    torch_npu('2.6.0', in_use=[2])
    assert devices.select('npu:1').index == 1
    assert refusal('npu:2').startswith("device 'npu:2' cannot be opened: SetDevice failed, error code is 507033. Is it")


def test_the_migration_tool_is_warned_of_and_its_cuda_is_no_cuda(machine):
    machine(npu=2)
    importlib.import_module('torch_npu.contrib.transfer_to_npu')
    assert torch.cuda.is_available() and torch.cuda.device_count() == 2  # what the tool claims
    with pytest.warns(UserWarning, match='transfer_to_npu is active and changes torch.*unset TORCH_TRANSFER_TO_NPU'):
        assert devices.select('auto').type == 'npu'
    assert 'torch.cuda answers for the NPU here' in refusal('cuda') and 'say --device npu' in refusal('cuda')
