"""Registries as code in MMCV's manner uses them: several names, objects that are objects already, settings as written."""
from __future__ import annotations

import pytest

from mmcv_need import registry
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import AS_WRITTEN, Registry, build, build_from_cfg, faults

KINDS = Registry('KINDS')
LAYERS = Registry('LAYERS', factories=True)


@pytest.fixture(autouse=True)
def a_table_of_its_own(monkeypatch):
    monkeypatch.setattr(registry, '_TABLE', {})
    KINDS.register_module(module=Part)
    KINDS.register_module(module=Whole)
    KINDS.register_module(module=Plain)
    LAYERS.register_module('Layer', module=Part)


class Part:
    def __init__(self, size=1, name='part'):
        self.size, self.name = size, name


class Whole:
    config_parts = AS_WRITTEN

    def __init__(self, part, layer=None, options=None):
        self.part, self.layer, self.options = part, layer, options
        if isinstance(options, dict):
            options['changed'] = True


class Plain:
    def __init__(self, part=None, options=None, layer=None):
        self.part, self.options, self.layer = part, options, layer


def test_a_class_may_have_several_names():
    KINDS.register_module(name=['First', 'Second'], module=Part)
    assert KINDS.get('First') is KINDS.get('Second') is Part
    assert build(dict(type='Second', size=3), KINDS).size == 3
    assert KINDS.register_module(name=('Third',))(Plain) is Plain and 'Third' in KINDS and len(KINDS) == 6


def test_none_of_several_names_may_be_taken_but_by_force():
    with pytest.raises(KeyError, match="'Part' is already registered in KINDS"):
        KINDS.register_module(name=['New', 'Part'], module=Plain)
    KINDS.register_module(name=['Part'], module=Plain, force=True)
    assert KINDS.get('Part') is Plain


@pytest.mark.parametrize('name', [Part, 3, [Part], {'a': 1}])
def test_a_decorator_without_parentheses_is_an_error_that_shows_them(name):
    with pytest.raises(TypeError, match=r'@KINDS\.register_module\(\)'):
        KINDS.register_module(name)


def test_build_from_cfg_returns_objects_builds_dicts_and_fills_in_defaults():
    part = Part()
    assert build_from_cfg(part, KINDS) is part is KINDS.build(part)
    found = build_from_cfg(dict(type='Part', size=2), KINDS, dict(size=9, name='other'))
    assert (found.size, found.name) == (2, 'other')
    assert build_from_cfg(dict(size=4), KINDS, dict(type='Part')).size == 4
    assert KINDS.build(dict(type='Part'), default_args=dict(size=5)).size == 5


def test_build_from_cfg_changes_no_settings():
    cfg = dict(type='Part', size=2)
    build_from_cfg(cfg, KINDS, dict(name='other'))
    assert cfg == dict(type='Part', size=2)


@pytest.mark.parametrize('cfg, words', [(dict(type='Prt'), "no component of KINDS is called 'Prt'. Did you mean 'Part'?"),
                                        (dict(type='Part', sise=1), "Did you mean 'size'?"),
                                        (dict(size=1), "a dict for KINDS needs a 'type'")])
def test_what_does_not_fit_is_an_error_as_in_any_config(cfg, words):
    with pytest.raises(ConfigError) as error:
        build_from_cfg(cfg, KINDS)
    assert words in str(error.value)


def test_settings_as_written_are_copies_with_attributes():
    options = dict(x=dict(y=1))
    cfg = Config(dict(a=dict(type='Whole', part=dict(type='Part', size=2), layer=dict(type='Layer'), options=options)))
    made = build(cfg, KINDS, key='a')
    assert made.part == dict(type='Part', size=2) and made.part.type == 'Part' and made.layer['type'] == 'Layer'
    assert made.options.x.y == 1 and 'changed' not in cfg.a.options
    assert build(made.part, KINDS).size == 2


def test_of_a_class_that_has_its_settings_as_written_names_are_checked_and_what_is_within_is_not():
    assert [str(fault) for fault in faults(dict(type='Whole', part=dict(type='Nothing')), KINDS)] == []
    (fault,) = faults(dict(type='Whole', prt=1), KINDS)
    assert "Did you mean 'part'?" in str(fault)
    (fault,) = faults(dict(type='Whole'), KINDS)
    assert 'needs the argument part' in str(fault)


def test_dicts_without_a_type_arrive_with_attributes_and_what_is_within_them_is_built():
    cfg = Config(dict(a=dict(type='Plain', options=dict(part=dict(type='Part', size=7), layer=dict(type='Layer')))))
    made = build(cfg, KINDS, key='a')
    assert made.options.part.size == 7 and made.options.get('nothing') is None
    assert made.options.layer().size == 1  # a factory
