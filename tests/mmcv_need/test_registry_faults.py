"""All faults of a section at once, and what a component that reads files has against its arguments before it does."""
from __future__ import annotations

from typing import Any, Optional, Sequence

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DataError
from mmcv_need.registry import Registry, build, check, faults

MADE = []
WHEELS = Registry('WHEELS')
CARS = Registry('CARS')


@WHEELS.register_module()
class FaultyWheel:
    def __init__(self, size: float, spokes: Sequence[int] = ()):
        MADE.append(self)


@CARS.register_module(parts=dict(wheels=WHEELS))
class FaultyCar:
    def __init__(self, wheels: Sequence[Any], path: str, speed: int = 3, colour: Optional[str] = None):
        MADE.append(self)

    @staticmethod
    def check_arguments(path: str, speed: int = 3) -> None:
        if path == 'nowhere':
            raise DataError(f"path '{path}': leads nowhere")
        if speed > 9:
            raise ConfigError(f'speed {speed}: too fast')


def found(**settings):
    MADE.clear()
    messages = [str(fault) for fault in faults(Config(dict(car=dict(type='FaultyCar', **settings))), CARS, key='car')]
    assert MADE == []
    return messages


def test_a_section_without_faults_has_none():
    assert found(wheels=[dict(type='FaultyWheel', size=1)], path='here') == []


def test_all_faults_are_found_those_of_parts_too():
    messages = found(wheels=[dict(type='FaultyWheel', size='1'), dict(type='FaultyWheel', size=2, spoks=3), dict(type='Weel')],
                     path=5, speed=[1], color='red')
    keys = [message.partition(': ')[0] for message in messages]
    assert keys == ['car.path', 'car.speed', 'car.color', 'car.wheels.0.size', 'car.wheels.1.spoks', 'car.wheels.2.type']
    assert "Did you mean 'colour'?" in messages[2] and "Did you mean 'spokes'?" in messages[4]


def test_a_part_that_should_be_a_list_is_no_dict():
    assert found(wheels=dict(type='FaultyWheel', size=1), path='here') == [
        "car.wheels: FaultyCar: expected a list, not {'type': 'FaultyWheel', 'size': 1}"]


@pytest.mark.parametrize('settings, words', [(dict(path='nowhere'), "path 'nowhere': leads nowhere"),
                                             (dict(path='here', speed=10), 'speed 10: too fast')])
def test_a_component_is_asked_about_its_arguments(settings, words):
    assert found(wheels=[], **settings) == [f'car: FaultyCar: {words}']


def test_it_is_not_asked_about_arguments_of_the_wrong_kind():
    assert found(wheels=[], path='here', speed='10') == ["car.speed: FaultyCar: expected a value of type int, not '10'"]


def test_check_raises_the_first_and_build_the_same():
    cfg = Config(dict(car=dict(type='FaultyCar', wheels=5, path=5)))
    for action in (check, build):
        with pytest.raises(ConfigError, match=r'^car\.wheels: FaultyCar: expected a list, not 5$'):
            action(cfg, CARS, key='car')
