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


# Half precision


def card(kind, index=0):
    return SimpleNamespace(type=kind, index=index)


HALF, BRAIN = torch.float16, torch.bfloat16


@pytest.mark.parametrize('kind, dtype, version, needs', [
    ('cpu', HALF, (2, 3), None), ('cpu', HALF, (2, 2), 'torch 2.3 or newer'), ('cpu', HALF, (1, 13), 'torch 2.3 or newer'),
    ('cpu', BRAIN, (1, 10), None), ('cpu', BRAIN, (1, 9), 'torch 1.10 or newer'),
    ('cuda', HALF, (1, 8), None), ('npu', HALF, (1, 8), None), ('npu', BRAIN, (2, 1), None), ('cuda', BRAIN, (1, 10), None),
    ('cuda', BRAIN, (1, 9), 'torch 1.10 or newer'), ('npu', BRAIN, (1, 8), 'torch 1.10 or newer')])
def test_half_precision_takes_a_torch_that_has_it(machine, monkeypatch, kind, dtype, version, needs):
    machine(npu=1, cuda=1)
    monkeypatch.setattr(devices, 'TORCH_VERSION', version)
    monkeypatch.setattr(torch.version, 'cuda', '12.4')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (8, 0))
    if needs is None:
        devices.check_half(card(kind), dtype)
        return
    name = str(dtype).replace('torch.', '')
    with pytest.raises(DeviceError, match=rf'cannot compute in {name} with torch .*: that needs {needs}\. Choose another '
                                          r'precision, such as opt_level O0$') as error:
        devices.check_half(card(kind), dtype)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('capability, able', [((7, 0), False), ((7, 5), False), ((8, 0), True), ((10, 0), True)])
def test_bfloat16_takes_a_cuda_card_that_does_not_only_emulate_it(machine, monkeypatch, capability, able):
    machine(cuda=1)
    monkeypatch.setattr(torch.version, 'cuda', '12.4')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    devices.check_half(card('cuda'), HALF)
    if able:
        devices.check_half(card('cuda'), BRAIN)
    else:
        with pytest.raises(DeviceError, match=r'a cuda card\) cannot compute in bfloat16 .*: that needs compute capability 8'):
            devices.check_half(card('cuda'), BRAIN)


@pytest.mark.parametrize('kind', ['npu', 'cuda'])
@pytest.mark.parametrize('able', [True, False])
def test_other_cards_say_themselves_whether_they_have_bfloat16(machine, monkeypatch, kind, able):
    machine(npu=1, cuda=1)
    monkeypatch.setattr(torch.version, 'cuda', None)  # AMD's
    monkeypatch.setattr(getattr(torch, kind), 'is_bf16_supported', lambda: able, raising=False)
    devices.check_half(card(kind), HALF)
    if able:
        devices.check_half(card(kind), BRAIN)
    else:
        with pytest.raises(DeviceError, match=rf'\(a {kind} card\) cannot compute in bfloat16 .*: that needs another card'):
            devices.check_half(card(kind), BRAIN)


@pytest.mark.parametrize('kind, version, expected', [
    ('cpu', (2, 13), ('torch', 'cpu', BRAIN)), ('cuda', (1, 10), ('torch', 'cuda', BRAIN)), ('cuda', (1, 9), ('cuda',)),
    ('npu', (2, 1), ('torch', 'npu', BRAIN)), ('npu', (2, 0), ('npu', BRAIN)), ('npu', (1, 8), ('npu',))])
def test_autocast_is_the_one_that_this_torch_has_for_the_device(machine, monkeypatch, kind, version, expected):
    machine(npu=1, cuda=1)
    monkeypatch.setattr(devices, 'TORCH_VERSION', version)
    monkeypatch.setattr(torch, 'autocast', lambda name, dtype: ('torch', name, dtype))
    for name in ('npu', 'cuda'):
        own = SimpleNamespace(autocast=lambda name=name, **given: (name, *given.values()))
        monkeypatch.setattr(getattr(torch, name), 'amp', own, raising=False)
    assert devices.autocast(card(kind), BRAIN) == expected


def test_within_autocast_products_are_in_half():
    if devices.TORCH_VERSION < (1, 10):
        pytest.skip('this torch has no autocast on the CPU')
    layer = torch.nn.Linear(2, 2)
    with devices.autocast(torch.device('cpu'), BRAIN):
        assert layer(torch.ones(1, 2)).dtype == BRAIN
    assert layer(torch.ones(1, 2)).dtype == torch.float32


# Flags


@pytest.mark.parametrize('value', [True, False])
def test_a_flag_on_the_host_is_read_as_it_is(value):
    read = devices.read_later(torch.tensor(value))
    assert read() is value and read() is value


@pytest.mark.parametrize('value', [True, False])
def test_a_flag_of_an_accelerator_is_copied_behind_the_work_in_hand_and_waited_for_when_it_is_read(machine, monkeypatch, value):
    machine(npu=1)
    done = []
    monkeypatch.setattr(torch.npu, 'current_stream', lambda device: f'stream of {device.type}', raising=False)

    class Event:
        def record(self, stream):
            done.append(('record', stream))

        def synchronize(self):
            done.append('synchronize')

    class Pinned:
        def copy_(self, flag, non_blocking):
            done.append(('copy', non_blocking))

        def __bool__(self):
            done.append('read')
            return value

    def empty(shape, dtype, pin_memory):
        assert (shape, dtype, pin_memory) == ((), torch.bool, True)  # only from pinned memory does a copy not wait
        return Pinned()
    monkeypatch.setattr(torch.npu, 'Event', Event, raising=False)
    monkeypatch.setattr(Torch, 'empty', staticmethod(empty), raising=False)
    read = devices.read_later(SimpleNamespace(device=card('npu'), dtype=torch.bool))
    assert done == [('copy', True), ('record', 'stream of npu')]
    assert read() is value and done[2:] == ['synchronize', 'read']
