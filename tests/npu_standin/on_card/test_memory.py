"""Each card counts what its tensors take and refuses what goes beyond its limit."""
from __future__ import annotations

import pytest
import torch

MEGABYTE = 2 ** 20


def test_memory_is_counted_by_card_and_given_back():
    before = torch.npu.memory_allocated('npu:3'), torch.npu.memory_allocated('npu:4')
    tensor = torch.zeros(MEGABYTE, device='npu:3')
    assert torch.npu.memory_allocated('npu:3') == before[0] + 4 * MEGABYTE
    result = tensor + 1  # the memory of a result counts too
    assert torch.npu.memory_allocated('npu:3') == before[0] + 8 * MEGABYTE
    assert torch.npu.memory_allocated('npu:4') == before[1]
    del tensor, result
    assert torch.npu.memory_allocated('npu:3') == before[0]


def test_the_peak_stays_until_it_is_reset():
    card = torch.device('npu', 5)
    torch.npu.reset_peak_memory_stats(card)
    del_me = torch.zeros(MEGABYTE, device=card)
    del del_me
    assert torch.npu.max_memory_allocated(card) >= 4 * MEGABYTE
    torch.npu.reset_peak_memory_stats(card)
    assert torch.npu.max_memory_allocated(card) == torch.npu.memory_allocated(card)


@pytest.mark.parametrize('operator, call', [
    ('empty', lambda x: torch.zeros(MEGABYTE, device='npu')), ('cat', lambda x: torch.cat([x] * 20)),
    ('resize_', lambda x: torch.empty(0, device='npu').resize_(MEGABYTE)),
    ('add', lambda x: x.expand(9, -1) + 1)])
def test_what_does_not_fit_is_out_of_memory_with_the_operator_named(cards, operator, call):
    x = torch.zeros(MEGABYTE // 8, device='npu')
    cards.set_memory_limit(2 * MEGABYTE)
    with pytest.raises(torch.OutOfMemoryError, match=rf'^NPU out of memory in aten::{operator}\. Tried to allocate \d+ bytes'):
        call(x)
    assert (x + 1).sum() == MEGABYTE // 8  # what fits still goes on


def test_free_and_total_memory_add_up():
    free, total = torch.npu.mem_get_info('npu:0')
    assert total == 64 * 2 ** 30 and free == total - torch.npu.memory_allocated('npu:0')
