"""Which module profiles a device."""
from __future__ import annotations

import sys

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.errors import DeviceError


def test_torchs_profiler_serves_cpu_and_cuda(card):
    assert devices.profiler(card('cpu')) is devices.profiler(card('cuda')) is torch.profiler


@pytest.mark.parametrize('version', ['2.1.0', '2.6.0', '2.13.0'])
def test_an_npu_is_profiled_by_torch_npus(machine, card, version):
    machine(npu=1, version=version)
    assert devices.profiler(card('npu')) is sys.modules['torch_npu.profiler']


def test_an_old_torch_npu_has_none_that_goes_by_steps(machine, card):
    machine(npu=1, version='1.8.1')
    with pytest.raises(DeviceError, match='no profiler that goes by steps; leave ProfilerHook out of custom_hooks'):
        devices.profiler(card('npu'))
