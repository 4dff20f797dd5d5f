"""Which line is blamed when a constructor refuses what a config gives it."""
from __future__ import annotations

from types import MappingProxyType

import pytest

from mmcv_need.refusals import refusal

PLACES = {'hook': 'base.py:3', 'hook.interval': 'base.py:4', 'hook.minutes': 'base.py:5'}


def said(places, message, arguments=MappingProxyType({'interval': 5, 'minutes': 'nds'})):
    return str(refusal(lambda key: {**PLACES, **places}.get(key, ''), 'hook', arguments, message))


@pytest.mark.parametrize('places, message, expected', [
    ({}, 'no', 'base.py:3: hook: no'),
    ({}, 'minutes must be more', 'base.py:5: hook: minutes must be more'),
    ({'hook.minutes': 'mine.py:1'}, 'no', 'mine.py:1: hook: no (set there: minutes)'),
    ({'hook.minutes': '--cfg-options'}, 'no', '--cfg-options: hook: no (set there: minutes)'),
    ({'hook.minutes': 'mine.py:1', 'hook.interval': 'mine.py:1'}, 'no', 'mine.py:1: hook: no (set there: interval, minutes)'),
    ({'hook.minutes': 'mine.py:1'}, 'interval is 0', 'base.py:4: hook: interval is 0'),
    ({'hook.minutes': 'mine.py:1'}, 'Hook: interval is 0', 'base.py:4: hook: Hook: interval is 0'),
    ({'hook.minutes': 'mine.py:1'}, 'the interval is short', 'mine.py:1: hook: the interval is short (set there: minutes)'),
    ({}, "'nds': no such name", "base.py:5: hook: 'nds': no such name"),
    ({'hook.minutes': 'mine.py:1'}, "interval, not 'nds'", "mine.py:1: hook: interval, not 'nds'"),
    ({'hook.minutes': 'mine.py:1'}, 'minutes_of', 'mine.py:1: hook: minutes_of (set there: minutes)')])
def test_the_argument_that_is_named_or_comes_from_elsewhere_is_blamed(places, message, expected):
    assert said(places, message) == expected


def test_a_name_that_is_no_word_is_meant_wherever_it_stands():
    places = {'hook.max_norm': 'base.py:9', 'hook.minutes': 'mine.py:1'}
    message = 'expected more than 0 of max_norm'
    assert said(places, message, {'max_norm': 0, 'minutes': 1}) == f'base.py:9: hook: {message}'


def test_without_places_the_section_is_named():
    assert str(refusal(lambda key: '', 'hook', {'interval': 0}, 'interval is 0')) == 'hook: interval is 0'
    assert str(refusal(lambda key: '', '', {}, 'no')) == 'no'
