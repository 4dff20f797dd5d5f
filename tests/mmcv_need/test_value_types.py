"""Which plain values fit which annotation, and how a message calls what would."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import pytest

from mmcv_need.value_types import allows_none, fits, hints_of, in_words

Scale = Union[Tuple[int, int], Sequence[Tuple[int, int]], None]


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize('hint, good, bad', [
    (int, [3, -1], [3.0, '3', True, [3], {}, None]),
    (float, [3, 2.5], ['2.5', False, (2.5,), None]),
    (bool, [True, False], [1, 0, 'True', None]),
    (str, ['', 'x'], [1, ['x'], None]),
    (Optional[int], [None, 3], ['3', 2.5]),
    (Sequence[int], [[], [1, 2], (1,)], [1, '12', [1.5], [True], {1: 2}, None]),
    (List[float], [[1, 2.5]], [2.5, ['1']]),
    (Tuple[float, float], [(1, 2), [0.5, 1]], [(1,), (1, 2, 3), 1, ('1', 2)]),
    (Tuple[str, ...], [('a',), []], ['a', (1,)]),
    (Sequence[Sequence[float]], [[[2], [2, 3]]], [2, [2, 3], [['2']]]),
    (Union[int, Sequence[int]], [8, [16, 22]], ['8', ['16'], 8.5]),
    (Scale, [None, (300, 300), [(300, 300), [512, 512]]], [300, (300,), [(300, 300, 3)], '300']),
    (Mapping[str, float], [{}, {'a': 1}], [{'a': 'b'}, {1: 1.0}, [1]]),
    (Dict[str, Any], [{'a': []}], ['a', []]),
    (Sequence[Any], [[1, 'a', None]], ['a', {}, 5]),
])
def test_values_fit_as_the_annotation_says(hint, good, bad):
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


@pytest.mark.parametrize('hint', [Any, Pair, Callable[[int], int], Optional[Pair], Union[float, np.ndarray]])
@pytest.mark.parametrize('value', [None, 1, 'a', [1], {}])
def test_what_no_plain_type_says_is_left_to_the_component(hint, value):
    assert fits(value, hint)


@pytest.mark.parametrize('hint', [int, str, Sequence[int], Tuple[int, int], Dict[str, int]])
def test_objects_are_left_to_the_component(hint):
    assert fits(object(), hint) and fits(np.zeros(2), hint)


def test_none_is_a_value_of_its_own():
    assert allows_none(Optional[int]) and allows_none(Any) and not allows_none(int) and not allows_none(Union[int, List[int]])


@pytest.mark.parametrize('hint, words', [
    (int, 'an int'), (Optional[float], 'a number'), (Sequence[float], 'a list of numbers'), (Sequence[Any], 'a list'),
    (Tuple[float, float], 'a list of two numbers'), (Tuple[str, ...], 'a list of strings'), (Dict[str, int], 'a dict'),
    (Union[int, Sequence[int]], 'an int or a list of ints'), (Sequence[Sequence[float]], 'a list of lists of numbers'),
    (Sequence[Mapping[str, Any]], 'a list of dicts'), (Tuple[int, int, int, int, int], 'a list of 5 ints'),
    (Sequence[Union[float, Tuple[float, float]]], 'a list of numbers or lists of two numbers')])
def test_what_fits_is_put_into_words(hint, words):
    assert in_words(hint) == words


def test_annotations_that_this_python_does_not_have_say_nothing():
    def old(a: int) -> None:
        """An annotation of a newer Python."""

    old.__annotations__ = {'a': 'NoSuchName[int]'}
    assert hints_of(old) == {}
