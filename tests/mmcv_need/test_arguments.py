"""Names and plain types of what a config gives a constructor."""
from __future__ import annotations

from numbers import Integral
from typing import Optional, Sequence

import numpy as np
import pytest

from mmcv_need.arguments import find_problems, is_number, listed


class Part:
    """A component with an argument of each kind."""

    def __init__(self, count: int, share: float = 0.5, name: Optional[str] = None, on: bool = False,
                 sizes: Sequence[int] = ()):
        pass


def problems(**arguments):
    return find_problems(Part, arguments, (), factory=False)


@pytest.mark.parametrize('arguments', [
    dict(count=3), dict(count=3, share=1), dict(count=3, share=1e-3, name='x', on=True, sizes=[1, 2]),
    dict(count=3, name=None), dict(count=object())])
def test_values_of_the_annotated_types_pass(arguments):
    assert problems(**arguments) == []


@pytest.mark.parametrize(('arguments', 'where', 'words'), [
    (dict(count='3'), 'count', "expected a value of type int, not '3'"),
    (dict(count=1.5), 'count', 'type int, not 1.5'),
    (dict(count=True), 'count', 'type int, not True'),
    (dict(count=3, share='x'), 'share', 'type float'),
    (dict(count=3, name=5), 'name', 'type str, not 5'),
    (dict(count=3, on=1), 'on', 'type bool, not 1'),
    (dict(count=[3]), 'count', 'type int'),
    (dict(cont=3), 'cont', "Did you mean 'count'?"),
    (dict(share=0.1), '', 'needs the argument count')])
def test_everything_else_is_named(arguments, where, words):
    (name, message), = problems(**arguments)
    assert name == where and words in message and 'Part' in message


def test_what_the_program_gives_may_not_be_given_twice():
    assert find_problems(Part, dict(count=1, name='x'), ('name',), factory=False)[0].name == 'name'
    assert find_problems(Part, dict(count=1), ('name',), factory=False) == []


@pytest.mark.parametrize('value', [3, -1, 0, np.int32(3), 2.5, np.float32(2.5)])
def test_numbers_of_python_and_numpy_are_numbers(value):
    assert is_number(value) and is_number(value, Integral) == (value != 2.5)


@pytest.mark.parametrize('value', [True, False, np.bool_(True), '3', None, [3], 3j])
def test_nothing_else_is_a_number(value):
    assert not is_number(value) and not is_number(value, Integral)


@pytest.mark.parametrize('value, items', [
    ([1, 2], [1, 2]), ((1,), [1]), ([], []), (np.array([0.5, 1]), [0.5, 1]), ('ab', ['ab']), (None, [None]), (0.5, [0.5])])
def test_one_value_is_listed_as_several_are(value, items):
    assert listed(value) == items
