"""Copies that nobody waits for, streams, and what a DataLoader pins."""
from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize('wait', [
    lambda: torch.npu.synchronize(), lambda: torch.npu.current_stream().synchronize(),
    lambda: torch.ones(1, device='npu').cpu(), lambda: torch.npu.current_stream().record_event().synchronize()])
def test_a_copy_that_is_not_waited_for_arrives_when_somebody_waits(wait):
    there = torch.zeros(2, pin_memory=True)
    source = torch.ones(2, device='npu')
    there.copy_(source, non_blocking=True)
    source.fill_(9.)  # comes later in the stream
    assert there.tolist() == [0., 0.]
    wait()
    assert there.tolist() == [1., 1.]


def test_an_event_that_was_not_recorded_is_not_waited_for():
    there = torch.zeros(2, pin_memory=True)
    there.copy_(torch.ones(2, device='npu'), non_blocking=True)
    torch.npu.Event().synchronize()
    assert there.tolist() == [0., 0.]
    torch.npu.synchronize()


def test_memory_that_is_not_pinned_is_waited_for():
    there = torch.zeros(2)
    there.copy_(torch.ones(2, device='npu'), non_blocking=True)
    assert there.tolist() == [1., 1.]


def test_a_loader_pins_its_batches():
    loader = torch.utils.data.DataLoader(torch.arange(4.), batch_size=2, pin_memory=True)
    batches = list(loader)
    assert all(batch.is_pinned() for batch in batches) and not torch.zeros(2).is_pinned()
    assert torch.cat([batch.to('npu', non_blocking=True) for batch in batches]).tolist() == [0., 1., 2., 3.]


def test_streams_are_present():
    side = torch.npu.Stream('npu:2')
    with torch.npu.stream(side):
        x = torch.ones(2, device='npu:2')
        x.record_stream(torch.Stream(device='npu:2'))
    torch.npu.current_stream('npu:2').wait_stream(side)
    assert side.query() and side == torch.npu.current_stream('npu:2') and side != torch.npu.current_stream('npu:1')
    with torch.npu.device(3):
        assert torch.npu.current_device() == 3 and torch.ones(1, device='npu').device.index == 3
    assert torch.npu.current_device() == 0
