"""What a device keeps besides tensors: memory, generators, its layout and its name."""
from __future__ import annotations

import os

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need import torch_versions


def test_an_accelerator_counts_its_memory_and_the_cpu_does_not(machine, card):
    machine(npu=2)
    torch.npu.peaks.update({0: 5 * 2**20 + 7, 1: 9 * 2**20})
    assert [devices.max_memory_mb(card('npu', index)) for index in (0, 1)] == [5, 9]
    assert devices.max_memory_mb(card('cpu')) is None


def test_memory_that_is_not_used_is_given_back(machine, card):
    machine(npu=1)
    devices.empty_cache(card('cpu'))
    assert torch.npu.released == []
    devices.empty_cache(card('npu'))
    assert torch.npu.released == ['all']


def test_memory_stands_in_the_text_log_where_mmcv_had_it_only(card):
    assert [devices.memory_in_text_log(card(kind)) for kind in ('npu', 'cuda', 'cpu')] == [False, True, False]


def test_convolutions_of_an_npu_keep_the_ordinary_layout(card):
    assert [devices.memory_format(card(kind)) for kind in ('npu', 'cuda', 'cpu')] == \
        [torch.contiguous_format, torch.channels_last, torch.channels_last]


@pytest.fixture(autouse=True)
def own_generator():
    """What a test draws from torch's generator is no other test's business."""
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def test_seeding_reaches_the_host_and_every_npu(machine, card):
    machine(npu=2)
    drawn = []
    for _ in range(2):
        devices.seed_all(7)
        drawn.append(torch.cat([torch.rand(3), *(torch.npu.rand(3, card('npu', index)) for index in (0, 1))]))
    assert torch.equal(*drawn)
    devices.seed_all(8)
    assert (torch.npu.rand(3, card('npu', 1)) != drawn[0][6:]).any()


def test_setting_the_random_state_is_the_inverse_of_reading_it():
    cpu = torch.device('cpu')
    states = devices.rng_state(cpu)
    drawn = torch.rand(4)
    devices.set_rng_state(cpu, states)
    assert len(states) == 1 and torch.equal(torch.rand(4), drawn)


def test_an_accelerators_random_state_is_kept_beside_the_hosts(machine, card):
    machine(npu=2)
    own = card('npu', 1)
    states = devices.rng_state(own)
    drawn = torch.rand(4), torch.npu.rand(4, own)
    devices.set_rng_state(own, states)
    assert torch.equal(torch.rand(4), drawn[0]) and torch.equal(torch.npu.rand(4, own), drawn[1])
    goes_on = torch.npu.get_rng_state(own)
    devices.set_rng_state(own, states[:1])  # of a checkpoint that was written on a CPU
    assert torch.equal(torch.rand(4), drawn[0]) and torch.equal(torch.npu.get_rng_state(own), goes_on)


def test_repeatable_algorithms_exclude_the_search_for_the_fastest(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, 'use_deterministic_algorithms', lambda *value, **_: calls.append(value))
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':16:8')  # the user's choice stays
    devices.set_deterministic(True, False)
    assert torch.backends.cudnn.benchmark and calls == []
    devices.set_deterministic(True, True)
    assert not torch.backends.cudnn.benchmark and calls == [(True,)]


@pytest.mark.parametrize('version, asked', [((1, 8), {}), ((1, 10), {}), ((1, 11), {'warn_only': True}),
                                            ((2, 6), {'warn_only': True})])
def test_repeatable_products_need_a_setting_and_what_has_no_repeatable_form_only_warns(monkeypatch, version, asked):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', version)
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)
    monkeypatch.setattr(torch, 'use_deterministic_algorithms', lambda on, **options: calls.append((on, options)))
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', '')
    del os.environ['CUBLAS_WORKSPACE_CONFIG']
    calls = []
    devices.set_deterministic(False, True)
    assert calls == [(True, asked)] and os.environ['CUBLAS_WORKSPACE_CONFIG'] == ':4096:8'


# A line for the log


def test_a_device_is_described_for_the_log(machine, card):
    machine(npu=1, cuda=1, version='2.1.0')
    assert devices.describe(card('cpu')).startswith('cpu (')
    assert devices.describe(card('cuda')) == 'cuda:0 (a cuda card)'
    assert devices.describe(card('npu')) == 'npu:0 (Ascend910A, torch_npu 2.1.0)'


@pytest.mark.parametrize('variable', ['ASCEND_HOME_PATH', 'ASCEND_TOOLKIT_HOME'])
def test_the_version_of_cann_is_told_where_cann_tells_it(machine, card, monkeypatch, tmp_path, variable):
    machine(npu=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, str(tmp_path / 'cann[8]'))
    file = tmp_path / 'cann[8]' / 'aarch64-linux' / 'ascend_toolkit_install.info'
    file.parent.mkdir(parents=True)
    for text, told in (('package_name=Ascend-cann-toolkit\nversion=8.0.RC1\ninnerversion=V100\n', ', CANN 8.0.RC1)'),
                       ('package_name=Ascend-cann-toolkit\n', 'torch_npu 2.6.0)')):
        file.write_text(text)
        assert devices.describe(card('npu')).endswith(told)
    file.write_text('version=1.0\n')
    monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path / 'cann[8]')  # without an environment, no file is CANN's
    assert devices.describe(card('npu')).endswith('torch_npu 2.6.0)')


def test_names_of_the_environment_that_are_logged_hold_no_secret():
    words = {word for name in devices.ENVIRONMENT for word in name.split('_')}
    assert not words & {'TOKEN', 'KEY', 'SECRET', 'PASSWORD', 'AUTH', 'PROXY', 'USER', 'CREDENTIALS'}
    assert {'HCCL_EXEC_TIMEOUT', 'TASK_QUEUE_ENABLE', 'ASCEND_LAUNCH_BLOCKING', 'INF_NAN_MODE_ENABLE',
            'TORCH_NPU_FALLBACK_CPU_DISABLE'} <= set(devices.ENVIRONMENT)
