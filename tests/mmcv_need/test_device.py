"""The device table: who is asked first, and what is said when a device cannot be had."""
from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.errors import DeviceError


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine with so many NPUs and CUDA GPUs; None: without the software. Returns the cards that were set."""
    chosen = []

    def make(npu=None, cuda=None):
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, 'find_spec',
                            lambda name, *rest: None if name == 'torch_npu' else find_spec(name, *rest))
        monkeypatch.delattr(torch, 'npu', raising=False)
        if npu is not None:
            monkeypatch.setattr(torch, 'npu', stack('npu', npu), raising=False)
        for name, function in vars(stack('cuda', cuda or 0)).items():
            monkeypatch.setattr(torch.cuda, name, function)
        monkeypatch.setattr(devices, '_nvidia_driver_present', lambda: False)
        return chosen

    def stack(name, count):
        return SimpleNamespace(is_available=lambda: count > 0, device_count=lambda: count,
                               set_device=lambda device: chosen.append(str(device)),
                               get_device_name=lambda device: f'a {name} card')
    return make


class Torch:
    """torch, except that `torch.device('npu')` needs no torch_npu."""

    def __getattr__(self, name):
        return getattr(torch, name)

    @staticmethod
    def device(kind, index=None):
        if kind == 'npu':
            return SimpleNamespace(type=kind, index=index)
        return torch.device(kind) if index is None else torch.device(kind, index)


@pytest.fixture(autouse=True)
def npu_is_the_name_of_a_device(monkeypatch):
    monkeypatch.setattr(devices, 'torch', Torch())


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


def test_an_npu_stack_without_a_visible_npu_is_an_error_and_not_passed_over(machine):
    machine(npu=0, cuda=1)
    for name in ('auto', 'npu'):
        with pytest.raises(DeviceError, match=r'torch_npu is installed but no NPU is visible.*say --device cpu'):
            devices.select(name)


@pytest.mark.parametrize('error', [ImportError('libascendcl.so: cannot open'), OSError('x'), RuntimeError('y')])
def test_an_npu_stack_that_does_not_import_is_an_error_with_what_to_do(machine, monkeypatch, error):
    machine(cuda=1)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *rest: SimpleNamespace(name=name))

    def fail(name, *rest):
        assert name == 'torch_npu'
        raise error
    monkeypatch.setattr(devices.importlib, 'import_module', fail)
    for name in ('auto', 'npu'):
        with pytest.raises(DeviceError) as caught:
            devices.select(name)
        assert '\n' not in str(caught.value)
        for words in ('torch_npu is installed but does not import', str(error), 'set_env.sh', '--device cpu'):
            assert words in str(caught.value)
    assert selected('cpu') == ('cpu', None)


def test_importing_torch_npu_brings_the_npu(machine, monkeypatch):
    machine()

    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *rest: object())

    def install(name):
        assert name == 'torch_npu'
        monkeypatch.setattr(torch, 'npu', SimpleNamespace(is_available=lambda: True, device_count=lambda: 1,
                                                          set_device=lambda device: None), raising=False)
    monkeypatch.setattr(devices.importlib, 'import_module', install)
    assert selected('auto') == ('npu', 0)


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


@pytest.mark.parametrize('kind, backend', [('npu', 'hccl'), ('cuda', 'nccl'), ('cpu', 'gloo')])
def test_each_kind_has_its_collectives(kind, backend):
    assert devices.backend(SimpleNamespace(type=kind)) == backend
    assert devices.backend(SimpleNamespace(type=kind), wanted=backend) == backend


@pytest.mark.parametrize('kind, wanted, backend', [('cuda', 'gloo', 'gloo'), ('npu', 'nccl', 'hccl'), ('cpu', 'nccl', 'gloo')])
def test_another_backend_is_taken_where_it_can_serve_the_device(kind, wanted, backend):
    assert devices.backend(SimpleNamespace(type=kind), wanted) == backend


def test_an_accelerator_counts_its_memory_and_the_cpu_does_not(machine, monkeypatch):
    machine(npu=1)
    torch.npu.max_memory_allocated = lambda device: 5 * 2**20 + 7
    assert devices.max_memory_mb(SimpleNamespace(type='npu')) == 5
    assert devices.max_memory_mb(SimpleNamespace(type='cpu')) is None


def test_memory_stands_in_the_text_log_where_mmcv_had_it_only():
    assert [devices.memory_in_text_log(SimpleNamespace(type=kind)) for kind in ('npu', 'cuda', 'cpu')] == [False, True, False]


def test_convolutions_of_an_npu_keep_the_ordinary_layout():
    assert [devices.memory_format(SimpleNamespace(type=kind)) for kind in ('npu', 'cuda', 'cpu')] == \
        [torch.contiguous_format, torch.channels_last, torch.channels_last]


def test_a_device_is_described_for_the_log(machine):
    machine(npu=1)
    assert devices.describe(SimpleNamespace(type='cpu')).startswith('cpu (')
    assert devices.describe(SimpleNamespace(type='npu')).endswith('(a npu card)')


def test_seeding_reaches_the_npus_generators_too(machine):
    machine(npu=1)
    seeds = []
    torch.npu.manual_seed_all = seeds.append
    state = torch.get_rng_state()
    try:
        devices.seed_all(7)
        first = torch.rand(3)
        devices.seed_all(7)
        assert torch.equal(torch.rand(3), first) and seeds == [7, 7]
    finally:
        torch.set_rng_state(state)


def test_setting_the_random_state_is_the_inverse_of_reading_it(machine):
    machine()
    cpu = devices.torch.device('cpu')
    states = devices.rng_state(cpu)
    drawn = torch.rand(4)
    devices.set_rng_state(cpu, states)
    assert torch.equal(torch.rand(4), drawn)


def test_an_accelerators_random_state_is_kept_beside_the_hosts(machine):
    machine(npu=1)
    card = SimpleNamespace(type='npu', index=0)
    kept = torch.arange(4, dtype=torch.uint8)
    restored = []
    torch.npu.get_rng_state = lambda device: kept
    torch.npu.set_rng_state = lambda state, device: restored.append((state, device))
    states = devices.rng_state(card)
    assert len(states) == 2 and torch.equal(states[1], kept)
    devices.set_rng_state(card, states)
    assert torch.equal(restored[0][0], kept) and restored[0][1] is card
    devices.set_rng_state(card, states[:1])  # written on a CPU
    assert len(restored) == 1


def test_repeatable_algorithms_exclude_the_search_for_the_fastest(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, 'use_deterministic_algorithms', lambda *value, **_: calls.append(value))
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':16:8')  # the user's choice stays
    devices.set_deterministic(True, False)
    assert torch.backends.cudnn.benchmark and calls == []
    devices.set_deterministic(True, True)
    assert not torch.backends.cudnn.benchmark and calls == [(True,)]
