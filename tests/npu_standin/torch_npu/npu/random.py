"""The generator of each card."""
from __future__ import annotations

from typing import Iterable, List

import torch
from torch import Tensor

from torch_npu.native import native
from torch_npu.npu.cards import Card, device_count, index_of

default_generators = tuple(native.default_generator(card) for card in range(device_count()))


def manual_seed(seed: int) -> None:
    """Seed the current card's."""
    default_generators[index_of(None)].manual_seed(int(seed))


def manual_seed_all(seed: int) -> None:
    for generator in default_generators:
        generator.manual_seed(int(seed))


def initial_seed() -> int:
    return default_generators[index_of(None)].initial_seed()


def get_rng_state(card: Card = 'npu') -> Tensor:
    """() its state, bytes on the host."""
    return default_generators[index_of(card)].get_state()


def set_rng_state(state: Tensor, card: Card = 'npu') -> None:
    if state.device != torch.device('cpu'):
        raise TypeError(f'expected a state on the cpu, not on {state.device}')
    default_generators[index_of(card)].set_state(state)


def get_rng_state_all() -> List[Tensor]:
    return [generator.get_state() for generator in default_generators]


def set_rng_state_all(states: Iterable[Tensor]) -> None:
    for generator, state in zip(default_generators, states):
        generator.set_state(state)
