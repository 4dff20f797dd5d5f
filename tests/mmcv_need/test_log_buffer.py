"""LogBuffer: averages that wait for the device only when they are asked for, and go on exactly after an interruption."""
from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch

from mmcv_need.log_buffer import LogBuffer


def step(buffer, values, count=1, time=None):
    buffer.update({'data_time': 0.5})
    buffer.update(values, count)
    if time is not None:
        buffer.update({'time': time})


def filled(values, keep=100, **others):
    buffer = LogBuffer()
    buffer.keep(keep)
    for value in values:
        step(buffer, {'loss': value, **others})
    return buffer


def test_an_average_is_weighted_by_samples():
    buffer = filled([])
    buffer.update({'loss': 1.0}, 3)
    buffer.update({'loss': 5.0}, 1)
    assert buffer.average() == {'loss': 2.0}


def test_an_average_is_over_the_last_steps_and_names_keep_their_order():
    buffer = filled([1.0, 2.0, 4.0, 8.0], grad_norm=3.0)
    assert list(buffer.average(2).items()) == [('data_time', 0.5), ('loss', 6.0), ('grad_norm', 3.0)]
    assert buffer.average(3)['loss'] == pytest.approx(14 / 3)
    assert buffer.average()['loss'] == buffer.average(77)['loss'] == 3.75


def test_an_average_changes_nothing():
    buffer = filled([1.0, 2.0])
    assert buffer.average(1) == buffer.average(1)
    assert not buffer.ready and buffer.output == {}


def test_a_name_that_comes_now_and_then_is_averaged_within_the_same_iterations():
    buffer = filled([])
    for i in range(8):
        step(buffer, {'loss': 1.0, **({'grad_norm': float(i)} if i % 3 == 0 else {})})
    assert buffer.average(4)['grad_norm'] == 6.0  # of iterations 4 to 7 only the sixth has one
    assert 'grad_norm' not in buffer.average(1)


@pytest.mark.parametrize('values, mean', [
    ([1.0, math.nan, 3.0], 2.0), ([math.inf, 1.0, -math.inf], 1.0), ([math.nan, math.inf], math.nan), ([math.nan], math.nan)])
@pytest.mark.parametrize('kind', [float, torch.tensor])
def test_values_that_are_no_numbers_do_not_hide_the_others(values, mean, kind):
    assert filled([kind(value) for value in values]).average()['loss'] == pytest.approx(mean, nan_ok=True)


def test_samples_of_a_value_that_is_left_out_do_not_count():
    buffer = filled([])
    for value, count in ((1.0, 1), (math.nan, 100), (5.0, 3)):
        buffer.update({'loss': value}, count)
    assert buffer.average()['loss'] == 4.0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_tensors_of_any_kind_are_averaged_in_double_precision(dtype):
    values = [torch.tensor(value, dtype=dtype) for value in (3, 2049, 7)]
    exact = [value.item() for value in values]
    assert filled(values).average()['loss'] == sum(exact) / 3


def test_kinds_may_be_mixed():
    mixed = [1.0, torch.tensor(2.0), 3, torch.tensor([4.0], dtype=torch.float64), np.float32(5.0)]
    assert filled(mixed).average()['loss'] == 3.0


def test_adding_a_value_does_not_read_it():
    buffer = filled([])
    buffer.update({'loss': torch.empty((), device='meta')})  # has nothing to read
    with pytest.raises((NotImplementedError, RuntimeError)):
        buffer.average()


def test_an_average_copies_all_values_of_a_kind_at_once(monkeypatch):
    buffer = filled([torch.tensor(float(i)) for i in range(50)], grad_norm=torch.tensor(1.0))
    copies, stack = [], torch.stack
    monkeypatch.setattr(torch, 'stack', lambda tensors: copies.append(len(tensors)) or stack(tensors))
    assert buffer.average(50)['loss'] == 24.5
    assert copies == [100]


def test_no_graph_is_kept_alive():
    weight = torch.ones((), requires_grad=True)
    buffer = filled([])
    buffer.update({'loss': weight * 2})
    assert not any(value.requires_grad for value, _ in buffer._history['train'][-1].values())


def test_no_more_steps_are_kept_than_someone_asked_for():
    buffer = LogBuffer()
    buffer.keep(7)
    buffer.keep(3)  # the longest interval counts
    for i in range(1000):
        step(buffer, {'loss': float(i)}, time=1.0)
    assert len(buffer._history['train']) == 7
    assert buffer.average()['loss'] == 996.0


def test_validation_has_a_history_of_its_own_for_one_epoch():
    buffer = filled([1.0, 2.0])
    for expected in (15.0, 25.0):
        buffer.begin('val')
        for value in (expected - 5, expected + 5):
            step(buffer, {'loss': value})
        assert buffer.average()['loss'] == expected
        buffer.begin('train')
        assert len(buffer._history['val']) == 0
        assert buffer.average()['loss'] == 1.5


def test_the_values_of_each_evaluation_are_a_dict_of_their_own():
    buffer = LogBuffer()
    buffer.output.update(mAP=0.25)
    buffer.ready = True
    first = buffer.output
    buffer.clear_output()
    assert first == {'mAP': 0.25} and buffer.output == {} and buffer.output is not first and not buffer.ready


def numbers(i):
    """Losses of a step in float32, as a step computes them; every fifth is no number."""
    rng = np.random.default_rng(i)
    loss = torch.tensor(rng.normal(8, 3), dtype=torch.float32)
    return {'loss': loss, 'grad_norm': torch.tensor(float('nan') if i % 5 == 4 else rng.normal(30, 9), dtype=torch.float32)}


def lines(buffer, begin, end, interval, say=None):
    """What the log lines of iterations say; `say` is called in each iteration, where a checkpoint is written."""
    found = {}
    for i in range(begin, end):
        buffer.update({'data_time': 0.1 * i})
        buffer.update(numbers(i), 3 + i % 4)
        if say:
            say(i, buffer)
        buffer.update({'time': 0.2 * i})
        if (i + 1) % interval == 0:
            found[i] = buffer.average(interval)
    return found


@pytest.mark.parametrize('interval', [1, 4, 7])
def test_an_interrupted_run_says_what_the_unbroken_one_does_to_the_last_bit(interval):
    states = {}

    def save(i, buffer):
        file = io.BytesIO()
        torch.save(buffer.state(), file)
        states[i] = file.getvalue()
    unbroken = filled([], keep=interval)
    expected = lines(unbroken, 0, 30, interval, save)
    assert len(expected) == 30 // interval
    for cut, content in states.items():
        buffer = LogBuffer()
        buffer.load_state(torch.load(io.BytesIO(content), weights_only=True))
        buffer.keep(interval)
        for i, values in lines(buffer, cut + 1, 30, interval).items():
            for name in ('loss', 'grad_norm'):
                np.testing.assert_array_equal(values[name], expected[i][name])  # nan equals nan


def test_a_state_is_a_table_a_name():
    buffer = filled([2.5, torch.tensor(0.1)])
    state = buffer.state()
    assert set(state) == {'data_time', 'loss'}
    assert state['loss'].tolist() == [[0.0, 2.5, 1.0], [1.0, float(torch.tensor(0.1)), 1.0]]


def test_nothing_comes_back_as_nothing():
    buffer = filled([1.0])
    buffer.load_state(LogBuffer().state())
    assert buffer.average() == {} and buffer.state() == {}
    step(buffer, {'loss': 2.0})
    assert buffer.average()['loss'] == 2.0


def test_a_state_is_of_training_whatever_is_going_on():
    buffer = LogBuffer()
    buffer.keep(3)
    buffer.update({'loss': 1.0}, 4)
    buffer.begin('val')
    buffer.update({'loss': 9.0}, 4)
    assert buffer.state()['loss'].tolist() == [[0.0, 1.0, 4.0]]
