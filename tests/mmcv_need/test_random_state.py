"""The state of all generators: that what is drawn after it is restored is what was drawn before, also by way of a file."""
from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from mmcv_need.random_state import random_state, seed_everything, set_random_state
from mmcv_need.serialization.torch_files import load_torch_file
from mmcv_need.torch_versions import has

CPU = torch.device('cpu')


@pytest.fixture(autouse=True)
def generators_are_left_as_they_were():
    before = random_state(CPU)
    yield
    set_random_state(CPU, before)


def draw():
    """Some of everything. Normal numbers come in pairs: an odd number of them leaves one behind in the generator."""
    return (random.random(), [random.gauss(0, 1) for _ in range(3)], np.random.rand(3).tolist(),
            np.random.randn(3).tolist(), torch.rand(3).tolist(), torch.randn(17).tolist(), torch.randperm(9).tolist())


def through_a_file(state, folder):
    torch.save(state, folder / 'state.pth')
    if has('torch.load with weights_only'):  # before, nothing was refused
        torch.load(folder / 'state.pth', weights_only=True)
    with open(folder / 'state.pth', 'rb') as file:
        return load_torch_file(file)


@pytest.mark.parametrize('drawn_before', [0, 1, 2])
def test_what_follows_is_drawn_again(tmp_path, drawn_before):
    seed_everything(5)
    for _ in range(drawn_before):
        draw()
    state = through_a_file(random_state(CPU), tmp_path)
    expected = draw()
    seed_everything(99)
    assert draw() != expected
    set_random_state(CPU, state)
    assert draw() == expected and draw() != expected


def test_a_normal_number_that_a_generator_holds_back_is_part_of_its_state(tmp_path):
    seed_everything(1)
    random.gauss(0, 1)
    np.random.randn()
    state = through_a_file(random_state(CPU), tmp_path)
    expected = random.gauss(0, 1), np.random.randn()
    assert np.random.get_state()[3] == 0 and state['numpy'][3] == 1  # it was held back, and is not any more
    seed_everything(2)
    set_random_state(CPU, state)
    assert (random.gauss(0, 1), np.random.randn()) == expected


def test_taking_the_state_draws_nothing():
    seed_everything(3)
    expected = draw()
    seed_everything(3)
    random_state(CPU)
    assert draw() == expected


@pytest.mark.parametrize('seed', [0, 7, 2 ** 32 + 7])
def test_a_seed_settles_all_generators(seed):
    seed_everything(seed)
    first = draw()
    draw()
    seed_everything(seed)
    assert draw() == first
    seed_everything(seed + 1)
    assert all(a != b for a, b in zip(draw(), first))


def test_an_accelerators_generator_is_part_of_it(monkeypatch):
    states = [torch.arange(3, dtype=torch.uint8), torch.arange(5, dtype=torch.uint8)]
    given = []
    monkeypatch.setattr('mmcv_need.device.rng_state', lambda device: states)
    monkeypatch.setattr('mmcv_need.device.set_rng_state', lambda device, kept: given.append((device, kept)))
    state = random_state(CPU)
    assert state['torch'] is states
    set_random_state(CPU, state)
    assert given == [(CPU, states)]
