"""Checkpoints of runs that kept an average: those of MMCV and MMEngine come to the one form that is read here."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.averages import learning_weights, separated


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_an_mmcv_file_is_separated_into_average_and_learning_weights(prefix):
    state, parameters = network().state_dict(), dict(network().named_parameters())
    averages = {name: torch.full_like(value, 7.0) for name, value in parameters.items()}
    buffers = {f"ema_{name.replace('.', '_')}": state[name] for name in averages}  # hold what learns, after MMCV's exchange
    content = {'meta': {}, 'state_dict': {prefix + name: value for name, value in {**state, **averages, **buffers}.items()}}
    found = separated(content)
    assert same(found['state_dict'], {**state, **averages})
    assert same(found['training_state_dict'], parameters) and same(learning_weights(found), state)


def test_an_mmengine_file_is_separated_too():
    """Its hook writes the average in place of the weights that learn, and these under `ema_state_dict`."""
    state, parameters = network().state_dict(), dict(network().named_parameters())
    averages = {name: torch.full_like(value, 7.0) for name, value in parameters.items()}
    exchanged = {'steps': torch.tensor(3), **{f'module.{name}': value for name, value in state.items()}}
    found = separated({'meta': {}, 'state_dict': {**state, **averages}, 'ema_state_dict': exchanged})
    assert same(found['state_dict'], {**state, **averages})
    assert same(found['training_state_dict'], state) and same(learning_weights(found), state)


def test_a_file_without_averages_is_separated_into_itself():
    content = {'meta': {'iter': 1}, 'state_dict': dict(network().state_dict())}
    assert separated(content) == content and same(learning_weights(content), content['state_dict'])
