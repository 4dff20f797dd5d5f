"""mmcv_need/device.py against the stand-in, as it would meet the real torch_npu."""
from __future__ import annotations

import pytest
import torch
import torch_npu

from mmcv_need import device as devices
from mmcv_need.errors import DeviceError
from mmcv_need.optim.flags import read_later

CARD = torch.device('npu', 1)


def test_an_npu_is_found_before_the_cpu():
    assert devices.select() == torch.device('npu', 0)
    assert devices.select('auto', index=3) == torch.device('npu', 3) and torch.npu.current_device() == 3
    assert devices.select('npu:5') == torch.device('npu', 5) and devices.count('npu') == 8


def test_a_card_that_is_not_there_is_named():
    with pytest.raises(DeviceError, match="device 'npu:8' does not exist: 8 visible"):
        devices.select('npu:8')


def test_the_collectives_are_hccls():
    assert devices.backend(CARD) == devices.backend(CARD, 'nccl') == 'hccl'
    assert torch.distributed.is_backend_available('hccl')


def test_a_card_is_described_and_counts_its_memory():
    assert devices.describe(CARD) == f'npu:1 (Ascend910B (stand-in), torch_npu {torch_npu.__version__})'
    torch.npu.reset_peak_memory_stats(CARD)
    before = devices.max_memory_mb(CARD)
    del_me = torch.zeros(3 << 18, device=CARD)
    assert devices.max_memory_mb(CARD) == before + 3 and del_me.device == CARD
    devices.empty_cache(CARD)


def test_the_random_state_of_host_and_card_is_put_back():
    devices.seed_all(3)
    states = devices.rng_state(CARD)
    drawn = torch.rand(3).tolist(), torch.rand(3, device=CARD).tolist()
    assert len(states) == 2 and all(state.device.type == 'cpu' for state in states)
    devices.set_rng_state(CARD, states)
    assert (torch.rand(3).tolist(), torch.rand(3, device=CARD).tolist()) == drawn
    devices.seed_all(3)
    assert (torch.rand(3).tolist(), torch.rand(3, device=CARD).tolist()) == drawn


def test_a_card_that_saturates_tells_of_an_overflow(cards):
    assert not devices.saturates(CARD)
    cards.set_saturates(True)
    assert devices.saturates(CARD) and not devices.saturates(torch.device('cpu'))
    devices.clear_overflow(CARD)
    assert not devices.overflowed(CARD)
    gradient = torch.full((3,), 3e38, device=CARD) * 10
    assert gradient.isfinite().all() and devices.overflowed(CARD) and devices.overflowed(CARD).device == CARD
    devices.clear_overflow(CARD)
    assert not devices.overflowed(CARD)


@pytest.mark.parametrize('value', [True, False])
def test_a_flag_is_read_when_it_has_arrived(value):
    flag = torch.tensor(value, device=CARD)
    read = read_later(flag)
    flag.fill_(not value)
    assert read() is value


def test_halves_are_those_of_the_kind_of_card(cards):
    devices.check_half(CARD, torch.float16)
    devices.check_half(CARD, torch.bfloat16)
    with devices.autocast(CARD, torch.bfloat16):
        assert (torch.ones(2, 2, device=CARD) @ torch.ones(2, 2, device=CARD)).dtype == torch.bfloat16
    cards.set_saturates(True)
    devices.check_half(CARD, torch.float16)
    with pytest.raises(DeviceError, match=r'npu:1 \(Ascend910 \(stand-in\), .*\) cannot compute in bfloat16'):
        devices.check_half(CARD, torch.bfloat16)


def test_a_profile_goes_into_its_folder(tmp_path):
    module = devices.profiler(CARD)
    activities = [module.ProfilerActivity.CPU, module.ProfilerActivity.NPU]
    with module.profile(activities=activities, on_trace_ready=module.tensorboard_trace_handler(str(tmp_path))) as profiler:
        torch.ones(3, device=CARD).exp()
        profiler.step()
    (trace,) = tmp_path.glob('*_ascend_pt/trace_view.json')
    assert 'aten::exp' in trace.read_text()


def test_the_fused_optimizer_computes_what_torchs_computes():
    fused = devices.fused_optimizers(CARD)['NpuFusedSGD']
    assert fused is torch_npu.optim.NpuFusedSGD and fused.is_fused_optimizer
    weights = [torch.nn.Parameter(torch.arange(4., device=CARD)) for _ in range(4)]
    plain = torch.optim.SGD(weights[:2], 0.1, momentum=0.9, weight_decay=0.1)
    ours = fused(weights[2:], lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        for optimizer, (a, b) in ((plain, weights[:2]), (ours, weights[2:])):
            optimizer.zero_grad()
            (a * a + 3 * b).sum().backward()
            optimizer.step()
    assert torch.equal(weights[0], weights[2]) and torch.equal(weights[1], weights[3])


def test_a_gradient_outside_the_fused_buffer_is_refused():
    weight = torch.nn.Parameter(torch.ones(2, device=CARD))
    optimizer = torch_npu.optim.NpuFusedSGD([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    weight.grad = None
    weight.sum().backward()
    with pytest.raises(RuntimeError, match='not in the combined buffer'):
        optimizer.step()
