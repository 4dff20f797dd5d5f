"""Each parameter finds its own state again, wherever it stood when it was saved."""
from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.optimizer_state import in_order

NAMES = ['a', 'b', 'c', 'd']


def saved(order, without=()):
    """The state of an optimizer over parameters in this order; the momentum of each is its own name."""
    return {'state': {i: {'momentum': name} for i, name in enumerate(order) if name not in without},
            'param_groups': [{'lr': 0.1, 'params': list(range(len(order)))}]}


@given(st.permutations(NAMES), st.permutations(NAMES), st.sets(st.sampled_from(NAMES)))
def test_each_parameter_gets_its_own(before, today, without):
    state = in_order(saved(before, without), before, NAMES, today)
    assert {today[i]: entry['momentum'] for i, entry in state['state'].items()} == {
        name: name for name in NAMES if name not in without}
    assert state['param_groups'] == [{'lr': 0.1, 'params': [0, 1, 2, 3]}]


def test_buffers_between_the_parameters_do_not_count():
    state = in_order(saved(['b', 'a']), ['b', 'mean', 'a', 'var'], ['a', 'b'], ['a', 'b'])
    assert [state['state'][i]['momentum'] for i in (0, 1)] == ['a', 'b']


def test_the_same_order_is_left_alone_whatever_groups_there_are():
    state = {'state': {}, 'param_groups': [{'params': [0]}, {'params': [1]}]}
    assert in_order(state, ['a', 'b'], ['a', 'b'], ['a', 'b']) == state


@given(st.permutations(NAMES), st.permutations(NAMES), st.sets(st.sampled_from(NAMES), max_size=3), st.booleans())
def test_frozen_parameters_may_be_in_the_file_or_not(before, today, frozen, in_file):
    """MMCV's optimizer holds frozen parameters too; ours holds those that learn."""
    learning = [name for name in today if name not in frozen]
    held = before if in_file else [name for name in before if name not in frozen]
    state = in_order(saved(held, without=frozen), before, NAMES, learning)
    assert [state['state'][i]['momentum'] for i in range(len(learning))] == learning
    assert state['param_groups'][0]['params'] == list(range(len(learning)))


@pytest.mark.parametrize('groups', [[[0], [1]], [[0, 1, 2]]])
def test_what_cannot_be_told_is_refused(groups):
    state = {'state': {}, 'param_groups': [{'params': params} for params in groups]}
    with pytest.raises(ValueError, match='which stand in another order or differ'):
        in_order(state, ['b', 'a'], ['a', 'b'], ['a', 'b'])


def test_torch_takes_the_state_that_comes_out():
    first, second = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([first, second], lr=0.1, momentum=0.9)
    (first.sum() + 2 * second.sum()).backward()
    optimizer.step()
    other = torch.optim.SGD([second, first], lr=0.1, momentum=0.9)
    other.load_state_dict(in_order(optimizer.state_dict(), ['first', 'second'], ['first', 'second'], ['second', 'first']))
    assert torch.equal(other.state[second]['momentum_buffer'], optimizer.state[second]['momentum_buffer'])
    assert torch.equal(other.state[first]['momentum_buffer'], torch.ones(2))
