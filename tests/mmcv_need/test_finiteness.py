"""Finding numbers that are none: in tensors of every kind, in checkpoints, and before weights are loaded."""
from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import CheckpointError
from mmcv_need.finiteness import first_not_finite, first_not_finite_of, is_finite
from mmcv_need.weights import load_weights

NAN, INF = math.nan, math.inf
KINDS = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64]


@given(st.lists(st.floats(width=32), max_size=12), st.sampled_from(KINDS))
def test_a_tensor_is_finite_if_each_of_its_numbers_is(numbers, dtype):
    tensor = torch.tensor(numbers, dtype=torch.float32).to(dtype)
    assert is_finite(tensor) is all(math.isfinite(number) for number in torch.view_as_real(tensor).flatten().tolist()) \
        if dtype is torch.complex64 else is_finite(tensor) is all(math.isfinite(number) for number in tensor.tolist())


@pytest.mark.parametrize('tensor, expected', [
    (torch.full((1000,), 3e38), True), (torch.full((1000,), 6e4, dtype=torch.float16), True),  # only their sums are not
    (torch.tensor([INF, -INF]), False), (torch.zeros(0), True), (torch.tensor(NAN), False),
    (torch.tensor([2 ** 62] * 4), True), (torch.tensor([True]), True), (torch.zeros(3).expand(5, 3), True)])
def test_sums_and_kinds_of_numbers_deceive_nobody(tensor, expected):
    assert is_finite(tensor) is expected


@pytest.mark.parametrize('value, told', [
    ({'a': torch.ones(2), 'b': [1, 'x', None, {'c': torch.tensor([1.0, NAN, INF])}]}, 'b.3.c (2 of 3 numbers)'),
    ({'scale': INF}, 'scale (inf)'), ({'a': torch.tensor([NAN]), 'b': torch.tensor([NAN])}, 'a (1 of 1 numbers)'),
    ({'a': (1.5, 2, True), 'b': torch.tensor([1])}, None), ({}, None)])
def test_the_first_is_named(value, told):
    assert first_not_finite(value) == told


def test_of_a_checkpoint_what_was_learnt_counts():
    good, bad = torch.ones(2), torch.tensor([1.0, NAN])
    fine = {'state_dict': {'w': good}, 'optimizer': {'state': {0: {'momentum_buffer': good}}}, 'loss_scaler': {'scale': 1.0}}
    assert first_not_finite_of({**fine, 'open_step': {'gradients': {'w': bad}}, 'ranks': [{'log_buffer': bad}]}) is None
    for key, value, told in [('state_dict', {'w': bad}, 'w'), ('training_state_dict', {'w': bad}, 'training_state_dict.w'),
                             ('optimizer', {'state': {0: {'momentum_buffer': bad}}}, 'optimizer.state.0.momentum_buffer')]:
        assert first_not_finite_of({**fine, key: value}) == f'{told} (1 of 2 numbers)'
    assert first_not_finite_of({**fine, 'loss_scaler': {'scale': NAN}}) == 'loss_scaler.scale (nan)'


@pytest.mark.parametrize('key', ['weight', 'running_var'])
def test_such_weights_are_not_loaded_and_the_model_keeps_its_own(key):
    model = torch.nn.BatchNorm1d(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value * 2 for name, value in before.items()}
    state[key][1] = INF
    with pytest.raises(CheckpointError, match=rf'^x\.pth: {key} \(1 of 3 numbers\) is not finite: the run that wrote it had '):
        load_weights(model, state, 'x.pth')
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_the_model_does_not_take_may_be_anything():
    model = torch.nn.Linear(2, 1)
    load_weights(model, {**model.state_dict(), 'other': torch.tensor([NAN])}, 'x.pth')


@pytest.mark.parametrize('make', [lambda base: base[:1].expand(2**40), lambda base: base.as_strided((2**20, 2**20), (1, 0)),
                                  lambda base: base.as_strided((2**10, 2**11), (1, 1))])
def test_numbers_that_lie_in_the_same_memory_are_looked_at_once(make):
    base = torch.ones(2**20 + 2**12)
    assert first_not_finite({'a': make(base)}) is None
    base[0] = NAN
    assert 'a (1 of ' in first_not_finite({'a': make(base)})
