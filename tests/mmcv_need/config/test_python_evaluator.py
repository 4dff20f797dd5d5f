"""Expressions have the value that Python gives them."""
from __future__ import annotations

import math

import pytest

EXPRESSIONS = [
    ('1 + 2 * 3 - 4 // 3 % 2', 6), ('-2 ** 2', -4), ('2 ** -1', 0.5), ('7 / 2', 3.5), ('+1', 1), ('not 0', True),
    ('1 < 2 < 3', True), ('1 < 2 > 3', False), ('"a" in ["a"]', True), ('2 not in (1,)', True), ('None is None', True),
    ('0 or "x"', 'x'), ('1 and 0 and 2', 0), ('1 if [] else 2', 2), ('[1, 2, 3][::-1]', [3, 2, 1]),
    ('"abc"[1:]', 'bc'), ('(1, 2)[0]', 1), ('{"a": {"b": 3}}["a"]["b"]', 3), ('[0] * 3', [0, 0, 0]),
    ('2 * (1, 2)', (1, 2, 1, 2)), ('"ab" * 2', 'abab'), ('[1] + [2]', [1, 2]), ('(1,) + (2,)', (1, 2)), ('dict()', {}),
    ('dict(a=1, **dict(b=2))', {'a': 1, 'b': 2}), ('dict([("a", 1), ("b", 2)])', {'a': 1, 'b': 2}),
    ('dict(dict(a=1), b=2)', {'a': 1, 'b': 2}), ('{**dict(a=1), "a": 2, 3: 4}', {'a': 2, 3: 4}),
    ('list(range(3))', [0, 1, 2]), ('tuple(range(1, 9, 3))', (1, 4, 7)), ('list({"a": 1})', ['a']),
    ('tuple("ab")', ('a', 'b')), ('[*range(2), *(5, 6)]', [0, 1, 5, 6]), ('(*[1], 2)', (1, 2)),
    ('[(i, j) for i in range(3) for j in range(i) if j]', [(2, 1)]), ('{str: i for str, i in [("a", 1)]}', {'a': 1}),
    ('list(i for i in (1, 2))', [1, 2]), ('f"{1.5:>8.3f}|{\'x\'!r}|{[1]}|{3:{2}}"', "   1.500|'x'|[1]| 3"),
    ('"a" "b"', 'ab'), ('"\\x41\\n"', 'A\n'), ('1e999', math.inf), ('True', True),
    ('[[x for x in y] for y in [(1, 2)]]', [[1, 2]]),
]


@pytest.mark.parametrize('expression, value', EXPRESSIONS)
def test_an_expression_has_the_value_that_python_gives_it(data, expression, value):
    read = data(f'x = {expression}')['x']
    assert (type(read), read) == (type(value), value)


def test_a_set_becomes_a_list_in_the_order_written(data):
    assert data('x = {"b", "a", "b"}\ny = {i % 2 for i in (3, 4, 5)}') == {'x': ['b', 'a'], 'y': [1, 0]}


def test_infinity_is_a_value(data):
    assert data('x = -1e999') == {'x': -math.inf}
