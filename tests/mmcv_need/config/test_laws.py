"""Configs made by a grammar have the values that Python gives them; laying one over another keeps its laws."""
from __future__ import annotations

import copy
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.config import Config
from mmcv_need.config.merge import overlay
from mmcv_need.config.places import Place, Trace, traced
from mmcv_need.errors import ConfigError

PYTHON = {'dict': dict, 'list': list, 'tuple': tuple, 'range': lambda *numbers: list(range(*numbers))}  # as documented
NUMBERS = st.integers(-99, 99).map(str) | st.floats(-1e6, 1e6).map(repr)
ATOMS = NUMBERS | st.sampled_from(['None', 'True', 'False', "'a'", '"b c"', 'one', 'pair', 'table', "f'{one}x'"])
NAMES = {'one': 1, 'pair': (3, 4), 'table': {'k': [5, 6], 'm': {'n': 7}}}
BEFORE = 'one = 1\npair = (3, 4)\ntable = dict(k=[5, 6], m=dict(n=7))\n'


def larger(inner):
    items = st.lists(inner, max_size=4)
    return st.one_of(
        items.map(lambda parts: f"[{', '.join(parts)}]"),
        items.map(lambda parts: f"({''.join(f'{part}, ' for part in parts)})"),
        items.map(lambda parts: 'dict(' + ', '.join(f'k{i}={part}' for i, part in enumerate(parts)) + ')'),
        items.map(lambda parts: '{' + ', '.join(f"'k{i}': {part}" for i, part in enumerate(parts)) + '}'),
        st.tuples(inner, st.sampled_from(['+', '-', '*', '/', '//', '%']), inner).map(lambda parts: f'({" ".join(parts)})'),
        st.tuples(inner, st.sampled_from(['==', '!=', 'and', 'or', 'in']), inner).map(lambda parts: f'({" ".join(parts)})'),
        st.tuples(inner, inner, inner).map('({0[0]} if {0[1]} else {0[2]})'.format), inner.map('(not {})'.format),
        inner.map('(-{})'.format), inner.map('[x for x in [{}] if x]'.format), inner.map('[*[{}], *pair]'.format),
        inner.map('dict(table, k={})'.format), inner.map('{{**table, "z": {}}}'.format), inner.map('list({})'.format),
        inner.map('{}[0]'.format), inner.map('{}["k"]'.format), inner.map('{}[::-1]'.format), st.just('range(3)'))


EXPRESSIONS = st.recursive(ATOMS, larger, max_leaves=8)


def typed(value):
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return type(value), [typed(item) for item in value] if isinstance(value, (list, tuple)) else repr(value)


@settings(max_examples=400)
@given(EXPRESSIONS)
def test_what_the_grammar_makes_has_pythons_value_or_is_refused(data, expression):
    try:
        found = data(f'{BEFORE}x = {expression}')['x']
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
        return
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of `0 is 0`
        expected = eval(expression, {'__builtins__': PYTHON, **copy.deepcopy(NAMES)})
    assert typed(found) == typed(expected)


KEYS = st.sampled_from('abc')
LEAVES = st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
TREES = st.recursive(st.dictionaries(KEYS, LEAVES, max_size=3), lambda inner: st.dictionaries(KEYS, inner | LEAVES, max_size=3),
                     max_leaves=8)


def merged(*layers):
    """Each laid over those before it; None if that is refused."""
    data, trace = {}, Trace(Place('base'), {})
    try:
        for i, layer in enumerate(layers):
            layer = copy.deepcopy(layer)
            overlay(data, trace, layer, traced(layer, Place(f'layer {i}')))
    except ConfigError:
        return None
    assert traced(data, Place('')).children.keys() == trace.children.keys()
    return data


@given(TREES, TREES, TREES)
def test_laying_over_has_its_laws(a, b, c):
    assert merged(a) == merged(a, a) == merged({}, a) == merged(a, {}) == a
    both = merged(a, b)
    if both is not None:
        assert merged(a, b, b) == both  # once is enough
        assert set(both) == set(a) | set(b)
        rest, whole = merged(b, c), merged(a, b, c)
        if rest is not None and whole is not None and merged(a, rest) is not None:
            assert merged(a, rest) == whole  # in whatever order they are brought together
    replaced = {'_delete_': True, **b}
    assert merged({'x': a}, {'x': replaced})['x'] == b


def leaves(tree, at=()):
    for key, value in tree.items():
        yield from leaves(value, (*at, key)) if isinstance(value, dict) else [('.'.join((*at, key)), value)]


FULL = st.recursive(st.dictionaries(KEYS, LEAVES, min_size=1), lambda inner: st.dictionaries(KEYS, inner | LEAVES, min_size=1),
                    max_leaves=6)


@given(TREES, FULL)
def test_options_one_by_one_are_what_a_dict_laid_over_is(a, b):
    cfg = Config({'top': copy.deepcopy(a)})
    try:
        for name, value in leaves(b):
            cfg.merge_from_dict({f'top.{name}': value})
            assert cfg.where(f'top.{name}') == '--cfg-options'
    except ConfigError:
        assert merged(a, b) is None
    else:
        assert cfg.to_dict()['top'] == merged(a, b)
