"""Priorities: MMCV's names and numbers."""
from __future__ import annotations

import pytest

from mmcv_need.errors import ConfigError
from mmcv_need.priority import Priority, get_priority


def test_the_names_have_mmcvs_numbers():
    assert {name: int(number) for name, number in Priority.__members__.items()} == {
        'HIGHEST': 0, 'VERY_HIGH': 10, 'HIGH': 30, 'ABOVE_NORMAL': 40, 'NORMAL': 50, 'BELOW_NORMAL': 60, 'LOW': 70,
        'VERY_LOW': 90, 'LOWEST': 100}


@pytest.mark.parametrize('given, number', [
    (0, 0), (1, 1), (77, 77), (100, 100), ('NORMAL', 50), ('very_low', 90), ('Below_Normal', 60), (Priority.HIGH, 30)])
def test_a_priority_is_a_number_or_a_name_in_any_case(given, number):
    assert get_priority(given) == number and type(get_priority(given)) is int


@pytest.mark.parametrize('given', [-1, 101, 50.0, True, False, None, 'NORMALE', '50', '', [50]])
def test_anything_else_is_refused(given):
    with pytest.raises(ConfigError) as error:
        get_priority(given)
    assert str(error.value) == (f'priority {given!r} is neither a number from 0 to 100 nor one of HIGHEST, VERY_HIGH, HIGH, '
                                f'ABOVE_NORMAL, NORMAL, BELOW_NORMAL, LOW, VERY_LOW, LOWEST')
