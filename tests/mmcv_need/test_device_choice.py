"""The device table: who is asked first, and what is said when a device cannot be had."""
from __future__ import annotations

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.errors import DeviceError


def selected(*arguments, **named):
    device = devices.select(*arguments, **named)
    return device.type, device.index


def test_an_npu_is_asked_before_cuda(machine):
    machine(npu=1, cuda=1)
    assert selected('auto') == ('npu', 0)


def test_cuda_is_asked_before_the_cpu(machine):
    machine(cuda=1)
    assert selected('auto') == ('cuda', 0)


def test_the_cpu_is_what_remains(machine):
    machine()
    assert selected('auto') == ('cpu', None)


def test_the_cpu_may_always_be_asked_for(machine):
    assert machine(npu=0, cuda=0) == []
    assert selected('cpu') == ('cpu', None)


def test_the_process_is_bound_to_its_card(machine):
    chosen = machine(cuda=4)
    assert selected('cuda', index=2) == ('cuda', 2) and selected('cuda:3', index=2) == ('cuda', 3)
    assert chosen == ['cuda:2', 'cuda:3']


def test_cards_are_counted_and_there_is_one_cpu(machine):
    machine(npu=8, cuda=4)
    assert [devices.count(kind) for kind in devices.KINDS] == [8, 4, 1]


def test_a_card_that_does_not_exist_is_refused(machine):
    machine(npu=8)
    with pytest.raises(DeviceError, match=r"^device 'npu:8' does not exist: 8 visible, numbered from 0$"):
        devices.select('npu:8')
    with pytest.raises(DeviceError, match="'npu:9' does not exist"):
        devices.select('auto', index=9)


@pytest.mark.parametrize('name', ['gpu', 'cudo', 'npu:x', 'cuda:', 'cuda:-1', '', 'NPU', 'cpu:one'])
def test_an_unknown_device_is_refused_with_what_is_known(machine, name):
    machine(npu=1, cuda=1)
    if name == 'cuda:':
        assert selected(name) == ('cuda', 0)
        return
    with pytest.raises(DeviceError, match=r'^unknown device .*Expected auto, npu, cuda, cpu') as error:
        devices.select(name)
    assert f"'{name}'" in str(error.value)


@pytest.mark.parametrize('name', ['npu', 'cuda', 'npu:3'])
def test_a_device_that_is_not_here_is_refused_with_what_is(machine, name):
    machine()
    kind = name.partition(':')[0]
    with pytest.raises(DeviceError, match=rf"^device '{name}' cannot be used: .* has no {kind} here. Usable: cpu$"):
        devices.select(name)


def test_a_driver_without_a_visible_gpu_is_an_error_and_not_passed_over(machine, monkeypatch):
    machine()
    monkeypatch.setattr(devices, '_nvidia_driver_present', lambda: True)
    monkeypatch.setattr(torch.version, 'cuda', '12.4')
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    with pytest.raises(DeviceError, match=r'an NVIDIA driver is here but .*sees no GPU.*say --device cpu'):
        devices.select('auto')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')  # hidden on purpose
    assert selected('auto') == ('cpu', None)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
    monkeypatch.setattr(torch.version, 'cuda', None)  # a torch for the CPU, chosen on purpose
    assert selected('auto') == ('cpu', None)


@pytest.mark.parametrize('path', ['/proc/driver/nvidia/version', '/dev/nvidiactl', None])
def test_a_driver_shows_by_its_files(monkeypatch, path):
    monkeypatch.setattr(devices.os.path, 'exists', lambda name: name == path)
    assert devices._nvidia_driver_present() is (path is not None)


@pytest.mark.parametrize('kind, backend', [('npu', 'hccl'), ('cuda', 'nccl'), ('cpu', 'gloo')])
def test_each_kind_has_its_collectives(card, kind, backend):
    assert devices.backend(card(kind)) == backend
    assert devices.backend(card(kind), wanted=backend) == backend


@pytest.mark.parametrize('kind, wanted, backend', [('cuda', 'gloo', 'gloo'), ('npu', 'nccl', 'hccl'), ('cpu', 'nccl', 'gloo')])
def test_another_backend_is_taken_where_it_can_serve_the_device(card, kind, wanted, backend):
    assert devices.backend(card(kind), wanted) == backend
