"""Every card has a generator with a state of its own."""
from __future__ import annotations

import pytest
import torch


def draw(card):
    return torch.rand(4, device=f'npu:{card}').tolist()


def test_seeding_all_seeds_each_card():
    torch.npu.manual_seed_all(7)
    first = [draw(card) for card in range(8)]
    assert all(numbers == first[0] for numbers in first)
    torch.npu.manual_seed_all(7)
    assert [draw(card) for card in range(8)] == first
    torch.npu.manual_seed_all(8)
    assert draw(0) != first[0]


def test_torchs_own_seed_reaches_the_cards():
    torch.manual_seed(9)
    first = draw(2)
    torch.manual_seed(9)
    assert draw(2) == first


def test_a_state_is_put_back_without_touching_another_card_or_the_host():
    torch.npu.manual_seed_all(1)
    state, host = torch.npu.get_rng_state('npu:1'), torch.get_rng_state()
    expected, other = draw(1), draw(2)
    torch.npu.set_rng_state(state, 'npu:1')
    assert draw(1) == expected and draw(2) != other and torch.equal(torch.get_rng_state(), host)
    assert state.device.type == 'cpu' and state.dtype == torch.uint8


def test_the_current_cards_generator_is_the_one_that_manual_seed_means():
    torch.npu.manual_seed_all(1)
    torch.npu.set_device(3)
    torch.npu.manual_seed(2)
    assert [generator.initial_seed() for generator in torch.npu.default_generators] == [1, 1, 1, 2, 1, 1, 1, 1]


def test_a_generator_can_be_made_for_a_card():
    numbers = [torch.randperm(9, device='npu:2', generator=torch.Generator('npu:2').manual_seed(5)).tolist() for _ in range(2)]
    assert numbers[0] == numbers[1] and torch.Generator('npu:2').device == torch.device('npu:2')


def test_a_state_on_a_card_is_refused():
    with pytest.raises(TypeError, match='expected a state on the cpu, not on npu:0'):
        torch.npu.set_rng_state(torch.npu.get_rng_state().to('npu'))
