"""The two kinds of card: infinity stays infinity, or becomes the largest number and a flag."""
from __future__ import annotations

import math

import pytest
import torch
import torch_npu


def status(card=0):
    return torch_npu.npu_get_float_status(torch.zeros(8, device=f'npu:{card}')).tolist()


def overflow(dtype=torch.float16, card=0):
    big = torch.tensor([3e4, 1., -3e4] if dtype is torch.float16 else [3e38, 1., -3e38], device=f'npu:{card}').to(dtype)
    return big * 4


def test_with_infinity_and_nan_results_are_the_cpus_and_no_flag_is_set():
    assert overflow().tolist() == [math.inf, 4., -math.inf]
    assert math.isnan(torch.tensor([-1.], device='npu').sqrt().item())
    assert status() == [0.] * 8 and torch_npu.npu.utils.is_support_inf_nan()


@pytest.mark.parametrize('dtype, most', [(torch.float16, 65504.), (torch.float32, torch.finfo(torch.float32).max)])
def test_a_card_that_saturates_writes_the_largest_number_and_sets_its_flag(cards, dtype, most):
    cards.set_saturates(True)
    assert overflow(dtype).tolist() == [most, 4., -most]
    assert status() == [1.] + [0.] * 7 and not torch_npu.npu.utils.is_support_inf_nan()


def test_nan_becomes_zero_there(cards):
    cards.set_saturates(True)
    assert torch.tensor([-1., 4.], device='npu').sqrt().tolist() == [0., 2.] and status()[0] == 1.


@pytest.mark.parametrize('call', [
    lambda x: x.mul_(4), lambda x: x.float().mul(4).half(), lambda x: torch.stack([x, x]).sum(0, dtype=torch.float16).mul(2),
    lambda x: torch._foreach_mul([x], 4.)[0], lambda x: torch.mul(x, 4, out=torch.empty_like(x))])
def test_every_way_to_write_saturates(cards, call):
    x = torch.tensor([3e4], device='npu').half()
    cards.set_saturates(True)
    assert call(x).item() == 65504. and status()[0] == 1.


def test_the_flag_stays_until_it_is_cleared_and_is_the_cards_own(cards):
    cards.set_saturates(True)
    overflow(card=3)
    torch.ones(3, device='npu:3') + 1
    assert (status(3)[0], status(0)[0]) == (1., 0.)
    torch_npu.npu_clear_float_status(torch.zeros(8, device='npu:3'))
    assert status(3)[0] == 0.


def test_an_infinity_that_is_moved_is_not_an_overflow(cards):
    cards.set_saturates(True)
    x = torch.tensor([math.inf, 1.]).to('npu')
    assert x.masked_fill(x == 1, -math.inf).tolist() == [math.inf, -math.inf] and status()[0] == 0.


@pytest.mark.parametrize('saturates, first', [(False, math.inf), (True, torch.finfo(torch.float32).max)])
def test_an_overflow_can_be_injected_into_a_call(cards, saturates, first):
    cards.set_saturates(saturates)
    cards.inject_overflow('aten::exp', 2)
    x = torch.zeros(2, device='npu')
    assert [x.exp().tolist() for _ in range(3)] == [[1., 1.], [first, 1.], [1., 1.]]
    assert status()[0] == float(saturates)


def test_the_status_is_written_into_its_argument(cards):
    cards.set_saturates(True)
    overflow()
    given = torch.zeros(8, device='npu')
    assert torch_npu.npu_get_float_status(given) is given and given[0] == 1.


def test_memory_that_nothing_was_written_to_is_no_overflow(cards):
    cards.set_saturates(True)
    torch.full((1000,), math.inf).to('npu')  # leaves its numbers where the next are made
    for _ in range(10):
        torch.ones(1, device='npu').new_empty_strided((1000,), (1,)).fill_(1.)
        torch.empty(1000, device='npu').zero_()
    assert status()[0] == 0.
