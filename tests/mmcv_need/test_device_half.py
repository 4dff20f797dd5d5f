"""Half precision: which device computes in which half, by which autocast; and overflow where nothing is infinite."""
from __future__ import annotations

import sys

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need import torch_versions
from mmcv_need.errors import DeviceError
from mmcv_need.optim.loss_scale import LossScale
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.torch_versions import has

HALF, BRAIN = torch.float16, torch.bfloat16
CHIP = 'Ascend910B1'


@pytest.mark.parametrize('kind, dtype, version, needs', [
    ('cpu', HALF, (2, 3), None), ('cpu', HALF, (2, 2), 'torch 2.3 or newer'), ('cpu', HALF, (1, 13), 'torch 2.3 or newer'),
    ('cpu', BRAIN, (1, 10), None), ('cpu', BRAIN, (1, 9), 'torch 1.10 or newer'),
    ('cuda', HALF, (1, 8), None), ('npu', HALF, (1, 8), None), ('npu', BRAIN, (2, 1), None), ('cuda', BRAIN, (1, 10), None),
    ('cuda', BRAIN, (1, 9), 'torch 1.10 or newer'), ('npu', BRAIN, (1, 8), 'torch 1.10 or newer')])
def test_half_precision_takes_a_torch_that_has_it(machine, card, monkeypatch, kind, dtype, version, needs):
    machine(npu=1, cuda=1, chip=CHIP)
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', version)
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
def test_bfloat16_takes_a_cuda_card_that_does_not_only_emulate_it(machine, card, monkeypatch, capability, able):
    machine(cuda=1)
    monkeypatch.setattr(torch.version, 'cuda', '12.4')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    devices.check_half(card('cuda'), HALF)
    if able:
        devices.check_half(card('cuda'), BRAIN)
    else:
        with pytest.raises(DeviceError, match=r'a cuda card\) cannot compute in bfloat16 .*: that needs compute capability 8'):
            devices.check_half(card('cuda'), BRAIN)


@pytest.mark.parametrize('able', [True, False])
def test_amds_cards_say_themselves_whether_they_have_bfloat16(machine, card, monkeypatch, able):
    machine(cuda=1)
    monkeypatch.setattr(torch.version, 'cuda', None)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: able, raising=False)
    devices.check_half(card('cuda'), HALF)
    if able:
        devices.check_half(card('cuda'), BRAIN)
    else:
        with pytest.raises(DeviceError, match=r'\(a cuda card\) cannot compute in bfloat16 .*: that needs another card'):
            devices.check_half(card('cuda'), BRAIN)


@pytest.mark.parametrize('version', ['1.11.0', '2.1.0', '2.6.0', '2.13.0'])
@pytest.mark.parametrize('chip, able', [('Ascend910A', False), ('Ascend910B1', True)])
def test_an_npu_has_bfloat16_from_atlas_a2_on(machine, card, version, chip, able):
    machine(npu=1, version=version, chip=chip)
    devices.check_half(card('npu'), HALF)
    if able:
        devices.check_half(card('npu'), BRAIN)
    else:
        with pytest.raises(DeviceError, match=r'\(Ascend910A, torch_npu .*\) cannot compute in bfloat16 .* an Atlas A2 or'):
            devices.check_half(card('npu'), BRAIN)


@pytest.mark.parametrize('kind, version, expected', [
    ('cpu', (2, 13), ('torch', 'cpu', BRAIN)), ('cuda', (1, 10), ('torch', 'cuda', BRAIN)), ('cuda', (1, 9), 'of cuda'),
    ('npu', (2, 1), ('torch', 'npu', BRAIN))])
def test_autocast_is_the_one_that_this_torch_has_for_the_device(machine, card, monkeypatch, kind, version, expected):
    machine(npu=1, cuda=1)
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', version)
    monkeypatch.setattr(torch, 'autocast', lambda name, enabled, dtype: ('torch', name, dtype))
    monkeypatch.setattr(torch.cuda.amp, 'autocast', lambda enabled: 'of cuda')
    assert devices.autocast(card(kind), BRAIN) == expected


@pytest.mark.parametrize('version, dtype', [('1.8.1', HALF), ('1.11.0', BRAIN), ('2.0.1', BRAIN)])
def test_before_2_1_autocast_is_torch_npus_own(machine, card, version, dtype):
    machine(npu=1, version=version)
    with devices.autocast(card('npu'), dtype) as computes_in:
        assert computes_in is dtype


def test_within_autocast_products_are_in_half_and_without_it_in_their_own_type():
    if not has('autocast in a chosen dtype'):
        pytest.skip('this torch has no autocast on the CPU')
    layer = torch.nn.Linear(2, 2)
    with devices.autocast(torch.device('cpu'), BRAIN):
        assert layer(torch.ones(1, 2)).dtype == BRAIN
        with devices.autocast(torch.device('cpu'), None):
            assert layer(torch.ones(1, 2)).dtype == torch.float32
    assert layer(torch.ones(1, 2)).dtype == torch.float32


# Overflow


@pytest.mark.parametrize('version', ['1.8.1', '1.11.0', '2.1.0', '2.6.0', '2.13.0'])
@pytest.mark.parametrize('chip, does', [('Ascend910A', True), ('Ascend910B1', False)])
def test_the_first_ascend_910_saturates_and_later_ones_do_not(machine, card, version, chip, does):
    machine(npu=1, version=version, chip=chip)
    assert devices.saturates(card('npu')) is does
    assert not devices.saturates(card('cpu')) and not devices.saturates(card('cuda'))


def test_a_later_chip_saturates_where_it_is_forced_to(machine, card, monkeypatch):
    machine(npu=1, chip=CHIP)
    monkeypatch.setenv('INF_NAN_MODE_ENABLE', '0')
    with pytest.raises(DeviceError, match=r"^INF_NAN_MODE_ENABLE shouldn't be set to 0 .* Unset INF_NAN_MODE_ENABLE$"):
        devices.saturates(card('npu'))
    monkeypatch.setenv('INF_NAN_MODE_FORCE_DISABLE', '1')
    assert devices.saturates(card('npu'))


@pytest.mark.parametrize('status', ['returned', 'written'])
@pytest.mark.parametrize('value', [70000.0, float('nan')])
def test_on_a_chip_that_saturates_only_the_status_tells_of_overflow(machine, card, torch_npu_module, status, value):
    machine(npu=1, status=status)
    npu = card('npu')
    devices.clear_overflow(npu)
    assert not devices.overflowed(npu)
    found = torch_npu_module().saturated(torch.tensor([1.0, value]).half())
    assert torch.isfinite(found).all()  # which is why nobody can see it
    assert devices.overflowed(npu) and devices.overflowed(npu)
    devices.clear_overflow(npu)
    assert not devices.overflowed(npu)


@pytest.mark.parametrize('overflows', [True, False])
def test_a_step_that_overflowed_on_such_a_chip_is_left_out_and_halves_the_loss_scale(machine, monkeypatch, torch_npu_module,
                                                                                     overflows):
    machine(npu=1)
    monkeypatch.setattr(devices, 'saturates', lambda device: True)  # the weights lie on the CPU
    weight = torch.nn.Parameter(torch.ones(2))
    step = OptimizerStep(torch.optim.SGD([weight], lr=0.1), loss_scale=LossScale('dynamic', torch.device('cpu')))
    step.zero_grad()
    large = 10.0 if overflows else 0.01
    weight.register_hook(lambda gradient: torch_npu_module().saturated(gradient.half()).float())
    step.backward(large * weight.sum())
    assert torch.isfinite(weight.grad).all()
    step.clip()
    step.step()
    assert step.was_applied() is not overflows
    assert torch.equal(weight, torch.ones(2)) is overflows
    assert step.loss_scale.scale == 2.0 ** (15 if overflows else 16)
    step.zero_grad()  # the next begins with a clear status
    assert not devices.overflowed(weight.device)


@pytest.fixture
def torch_npu_module():
    """The double, once it is imported."""
    return lambda: sys.modules['torch_npu']
