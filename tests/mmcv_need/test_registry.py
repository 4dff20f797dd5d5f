"""build: from config data to objects, innermost first; what does not fit is one line that says where and what."""
from __future__ import annotations

import functools
import textwrap

import pytest

from mmcv_need import registry
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DataError
from mmcv_need.registry import LAZY, Registry, build, check

BUILT = []  # names of the objects in the order in which they were built


class Axle:
    def __init__(self, length=1, *, wheel=None):
        BUILT.append('Axle')
        self.length, self.wheel = length, wheel


class Wheel:
    def __init__(self, size, spokes=0):
        if size == 0:
            raise ConfigError('a wheel of size 0 does not turn')
        if size < 0:
            raise ValueError(['math domain error', 'of several lines'][0])
        if size > 1000:
            raise DataError('roads.json: no road is so wide')
        BUILT.append('Wheel')
        self.size, self.spokes = size, spokes


class Vehicle:
    def __init__(self, wheel, axle=None, notes=None, name='vehicle'):
        BUILT.append(type(self).__name__)
        self.wheel, self.axle, self.notes, self.name = wheel, axle, notes, name


class Car(Vehicle):
    def __init__(self, doors=4, **kwargs):
        super().__init__(**kwargs)
        self.doors = doors


class Anything:
    def __init__(self, **kwargs):
        self.kwargs = kwargs


class Fleet:
    config_parts = {'first': Axle, 'rest': LAZY}

    def __init__(self, first=None, rest=None, size=0):
        self.first, self.rest, self.size = first, rest, size


def paint(car, color, coats=1):
    return car, color, coats


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    """Two kinds of components in a table of their own."""
    monkeypatch.setattr(registry, '_TABLE', {})
    BUILT.clear()
    wheels, vehicles = Registry('WHEELS'), Registry('VEHICLES')
    wheels.register_module(module=Wheel)
    for vehicle in (Vehicle, Car):
        vehicles.register_module(module=vehicle, parts=dict(wheel=wheels, axle=Axle, notes=LAZY))
    vehicles.register_module(module=Anything)
    return wheels, vehicles


@pytest.fixture
def wheels(kinds):
    return kinds[0]


@pytest.fixture
def vehicles(kinds):
    return kinds[1]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Reads the text of a config file, garage.py; its first line is line 1."""
    def read(text):
        monkeypatch.chdir(tmp_path)
        (tmp_path / 'garage.py').write_text(textwrap.dedent(text).lstrip('\n'))
        return Config.fromfile('garage.py')
    return read


@pytest.fixture
def refused(config, vehicles):
    """Expects that the `car` of a config cannot be built; returns the message, which is one line."""
    def message(text, **options):
        with pytest.raises(ConfigError) as error:
            build(config(text), vehicles, key='car', **options)
        assert '\n' not in str(error.value)
        return str(error.value)
    return message


CAR = '''
    car = dict(
        type='Car',
        wheel=dict(
            type='Wheel',
            size=3),
        axle=dict(
            length=2,
            wheel=dict(type='Wheel', size=5)),
        notes=dict(type='Nonsense'))
'''


def test_the_innermost_dicts_become_objects_first(config, vehicles):
    car = build(config(CAR), vehicles, key='car')
    assert BUILT == ['Wheel', 'Wheel', 'Axle', 'Car']
    assert type(car) is Car and car.wheel.size == 3 and car.axle.length == 2 and car.axle.wheel.size == 5


def test_a_lazy_part_stays_config_data(config, vehicles):
    assert build(config(CAR), vehicles, key='car').notes == {'type': 'Nonsense'}


def test_a_dict_or_list_of_components_becomes_a_dict_or_list_of_objects(wheels):
    dicts = {'left': {'type': 'Wheel', 'size': 1}, 'right': {'type': 'Wheel', 'size': 2}, 'colour': 'red', 'n': None}
    built = build(dicts)
    assert (built['left'].size, built['right'].size, built['colour'], built['n']) == (1, 2, 'red', None)
    row = build([{'type': 'Wheel', 'size': 1}, {'type': 'Wheel', 'size': 2}], wheels)
    assert [wheel.size for wheel in row] == [1, 2]
    assert isinstance(build(({'type': 'Wheel', 'size': 1},), wheels), tuple)


def test_finished_objects_pass(vehicles, wheels):
    wheel = Wheel(7)
    assert build(wheel, wheels) is wheel
    assert build({'type': 'Car', 'wheel': wheel}, vehicles).wheel is wheel
    assert build(None, wheels) is None


def test_building_leaves_the_config_as_it_was(config, vehicles):
    cfg = config(CAR)
    before = cfg.to_dict()
    build(cfg, vehicles, key='car')
    assert cfg.to_dict() == before


def test_a_list_index_may_stand_in_a_key(config, wheels):
    cfg = config('''
        row = [dict(type='Wheel', size=1),
               dict(type='Wheel', size=2)]
    ''')
    assert build(cfg, wheels, key='row.1').size == 2


def test_a_class_may_stand_for_its_name(vehicles):
    assert build({'type': Car, 'wheel': {'type': Wheel, 'size': 4}}, vehicles).wheel.size == 4
    assert build({'type': Axle, 'length': 4}).length == 4


def test_an_unknown_type_is_named_with_its_line_and_the_nearest(refused):
    message = refused('''
        car = dict(
            wheel=dict(
                type='Wheal', size=3),
            type='Car')
    ''')
    assert message == "garage.py:3: car.wheel.type: no component of WHEELS is called 'Wheal'. Did you mean 'Wheel'?"


def test_where_no_name_is_near_all_are_listed(refused):
    assert refused("car = dict(type='Boat')").endswith('Known: Anything, Car, Vehicle.')


def test_an_unknown_argument_is_named_with_its_line_its_class_and_the_nearest(refused):
    message = refused('''
        car = dict(
            type='Car',
            wheel=dict(
                type='Wheel',
                sise=3))
    ''')
    module = Wheel.__module__
    assert message == f"garage.py:5: car.wheel.sise: Wheel ({module}) has no such argument. Did you mean 'size'?"


def test_arguments_that_go_on_to_the_parent_class_are_checked(refused, config, vehicles):
    car = "car = dict(type='Car', wheel=dict(type='Wheel', size=1), {}='x')"
    assert build(config(car.format('name')), vehicles, key='car').name == 'x'
    message = refused(car.format('nam'))
    assert message.startswith('garage.py:1: car.nam: Car (') and message.endswith("Did you mean 'name'?")


def test_a_missing_argument_of_the_parent_class_is_named(refused):
    assert 'needs the argument wheel' in refused("car = dict(type='Car', doors=3)")


def test_a_class_that_takes_anything_gets_anything(config, vehicles):
    assert build(config("car = dict(type='Anything', x=1)"), vehicles, key='car').kwargs == {'x': 1}


def test_a_missing_argument_is_named_with_the_line_of_its_dict(refused):
    message = refused('''
        car = dict(
            type='Car',
            wheel=dict(type='Wheel'))
    ''')
    assert message == f'garage.py:3: car.wheel: Wheel ({Wheel.__module__}) needs the argument size'


def test_a_required_component_that_is_none_is_missed_at_once(refused):
    assert refused("car = dict(type='Car', wheel=None)") == f'garage.py:1: car: Car ({Car.__module__}) needs the argument wheel'


def test_a_component_that_may_be_left_out_may_be_none(config, vehicles):
    cfg = config("car = dict(type='Car', wheel=dict(type='Wheel', size=1), axle=None, notes=None)")
    assert build(cfg, vehicles, key='car').axle is None


def test_a_check_says_what_building_would_and_makes_nothing(config, vehicles):
    check(config(CAR), vehicles, key='car')
    check(config("car = dict(type='Car', wheel=dict(type='Wheel', size=0))"), vehicles, key='car')  # only its constructor minds
    for text in ("car = dict(type='Car', wheel=dict(type='Wheel', sise=1))", "car = dict(type='Car', wheel=dict(type='Wheal'))",
                 "car = dict(type='Car', wheel=5)", "car = dict(type='Car')", "car = 5"):
        messages = []
        for walk in (build, check):
            with pytest.raises(ConfigError) as error:
                walk(config(text), vehicles, key='car')
            messages.append(str(error.value))
        assert messages[0] == messages[1]
    assert BUILT == []


def test_a_check_knows_of_keys_left_out_and_of_arguments_to_come(config, wheels):
    cfg = config("wheel = dict(type='Wheel', priority='LOW')")
    check(cfg, wheels, key='wheel', without=('priority',), given=('size',))
    with pytest.raises(ConfigError, match='needs the argument size'):
        check(cfg, wheels, key='wheel', without=('priority',))


def test_a_component_of_another_kind_is_refused(refused):
    message = refused('''
        car = dict(
            type='Car',
            wheel=dict(
                type='Car', wheel=None))
    ''')
    assert message == "garage.py:4: car.wheel.type: 'Car' belongs to VEHICLES; WHEELS is expected here: Wheel"


def test_a_dict_without_a_type_is_refused_where_a_kind_is_expected(refused):
    assert refused("car = dict(type='Car', wheel=dict(size=1))") == \
        "garage.py:1: car.wheel: a dict for WHEELS needs a 'type', one of: Wheel"


@pytest.mark.parametrize('value', ["'Wheel'", '5', '0.5'])
def test_a_plain_value_is_refused_where_a_component_is_expected(refused, value):
    assert refused(f"car = dict(type='Car', wheel={value})") == \
        f'garage.py:1: car.wheel: expected dict(type=...) of WHEELS, not {value}'


@pytest.mark.parametrize('value', ["'long'", '5', 'True', '[1, 2]'])
def test_a_plain_value_is_refused_where_a_dict_without_a_type_is_expected(refused, value):
    message = refused(f"car = dict(type='Car', wheel=dict(type='Wheel', size=1), axle={value})")
    assert message == f'garage.py:1: car.axle: expected a dict of arguments of Axle, not {value}'


def test_a_misspelt_argument_of_a_dict_without_a_type_is_refused(refused):
    message = refused('''
        car = dict(
            type='Car', wheel=dict(type='Wheel', size=1),
            axle=dict(lenght=2))
    ''')
    assert message.startswith('garage.py:3: car.axle.lenght: Axle (') and message.endswith("Did you mean 'length'?")


def test_an_untyped_class_says_its_parts_itself(config):
    cfg = config("fleet = dict(first=dict(length=3), rest=dict(type='Nonsense'), size=2)")
    fleet = build(cfg, Fleet, key='fleet')
    assert fleet.first.length == 3 and fleet.rest == {'type': 'Nonsense'} and fleet.size == 2


def test_a_factory_waits_for_its_first_argument(config, monkeypatch):
    painters = Registry('PAINTERS', factories=True)
    painters.register_module(module=paint)
    made = build(config("p = dict(type='paint', color='red')"), painters, key='p', coats=2)
    assert isinstance(made, functools.partial) and made('car') == ('car', 'red', 2)
    with pytest.raises(ConfigError, match=r"garage.py:1: p.colour: paint .* Did you mean 'color'"):
        build(config("p = dict(type='paint', colour='red')"), painters, key='p')
    with pytest.raises(ConfigError, match=r'p.car: paint .* has no such argument'):  # the first is not the config's to set
        build(config("p = dict(type='paint', car=1, color='red')"), painters, key='p')


def test_keys_that_are_the_callers_business_are_left_out(config, wheels):
    cfg = config("wheel = dict(type='Wheel', size=1, priority='LOW')")
    assert build(cfg, wheels, key='wheel', without=('priority',)).size == 1
    with pytest.raises(ConfigError, match=r'wheel\.priority'):
        build(cfg, wheels, key='wheel')


def test_the_program_adds_arguments_which_the_config_may_not_set(config, wheels):
    assert build(config("wheel = dict(type='Wheel')"), wheels, key='wheel', size=9).size == 9
    with pytest.raises(ConfigError, match=r'garage.py:1: wheel.size: Wheel .* has no such argument'):
        build(config("wheel = dict(type='Wheel', size=1)"), wheels, key='wheel', size=9)


def test_a_constructors_own_complaint_gets_its_place(refused):
    message = refused('''
        car = dict(
            type='Car',
            wheel=dict(type='Wheel', size=0))
    ''')
    assert message == 'garage.py:3: car.wheel: Wheel: a wheel of size 0 does not turn'


def test_a_constructors_value_error_gets_its_place(refused):
    message = refused("car = dict(type='Car', wheel=dict(type='Wheel', size=-1))")
    assert message == 'garage.py:1: car.wheel: Wheel refused its arguments: math domain error'
    assert 'refused its arguments' in refused("car = dict(type='Car', wheel=dict(type='Wheel', size='big'))")


def test_other_errors_of_users_say_their_place_themselves(config, vehicles):
    with pytest.raises(DataError, match=r'^roads.json: no road is so wide$'):
        build(config("car = dict(type='Car', wheel=dict(type='Wheel', size=1001))"), vehicles, key='car')


def test_a_plain_dict_gives_errors_without_a_place(vehicles):
    with pytest.raises(ConfigError, match=r"^wheel.type: no component of WHEELS is called 'Wheal'"):
        build({'type': 'Car', 'wheel': {'type': 'Wheal'}}, vehicles)


def test_what_the_command_line_set_is_said_to_come_from_there(config, vehicles):
    cfg = config(CAR)
    cfg.merge_from_dict({'car.dors': 2})
    with pytest.raises(ConfigError, match=r"^--cfg-options: car.dors: Car .* Did you mean 'doors'"):
        build(cfg, vehicles, key='car')


def test_a_registry_knows_its_own_components_only(wheels, vehicles):
    assert 'Wheel' in wheels and 'Wheel' not in vehicles and 'Nonsense' not in wheels
    assert wheels.get('Wheel') is Wheel and vehicles.get('Wheel') is None
    assert len(wheels) == 1 and len(vehicles) == 3 and wheels.module_dict == {'Wheel': Wheel}
    assert repr(wheels) == 'Registry(WHEELS)'


def test_register_module_is_a_decorator(wheels):
    @wheels.register_module()
    class Tyre:
        pass

    @wheels.register_module(name='Rim')
    class Other:
        pass
    assert wheels.get('Tyre') is Tyre and wheels.get('Rim') is Other and wheels.get('Other') is None


def test_a_taken_name_is_an_error_in_any_kind(wheels, vehicles):
    class Wheel:
        pass
    for kind in (wheels, vehicles):
        with pytest.raises(KeyError, match=r"'Wheel' is already registered in WHEELS by .*force=True"):
            kind.register_module(module=Wheel)


def test_the_same_class_may_be_registered_again(wheels):
    wheels.register_module(module=Wheel)
    assert wheels.get('Wheel') is Wheel


def test_force_replaces(wheels):
    class Better:
        pass
    wheels.register_module(name='Wheel', force=True, module=Better)
    assert wheels.get('Wheel') is Better and type(build({'type': 'Wheel'}, wheels)) is Better
