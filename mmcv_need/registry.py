"""One table of components, and `build`, which turns checked config data into objects, depth first.

A component is a class (or function) registered under its own name; `type='SSDHead'` in a config is class SSDHead in the
code, found by grep. A registry such as BACKBONES is the *kind* of a component: all kinds share one table, so a name means
one thing everywhere. `build` makes the innermost dicts into objects first, so that constructors receive finished objects
and plain values, never config dicts.

    @DETECTORS.register_module(parts=dict(backbone=BACKBONES, neck=NECKS, train_cfg=SSDTrainCfg))
    class SingleStageDetector: ...

`parts` names the arguments that are themselves components: of a kind (the dict needs a `type`) or of a class (a dict
without a `type`, whose keys are that class's arguments).

Classes in MMCV's manner, whose constructors build such arguments themselves, have `config_parts = AS_WRITTEN`.

A constructor that reads files keeps what it asks of its values in a static method `check_arguments`, which `faults` calls
with those that it names.
"""
from __future__ import annotations

import copy
import functools
import inspect
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

from mmcv_need.arguments import find_problems, shortened
from mmcv_need.errors import ConfigError, UserError, did_you_mean
from mmcv_need.refusals import refusal

LAZY = object()  # a part that stays config data, to be built later by whoever owns it
AS_WRITTEN = object()  # in place of `config_parts`: all arguments stay config data, of which the constructor has a copy


class Component(NamedTuple):
    """An entry of the table."""
    make: Callable[..., Any]
    registry: Registry
    parts: Mapping[str, Any]


_TABLE: Dict[str, Component] = {}


class Registry:
    """A kind of component. `'SSDHead' in HEADS`, `HEADS.get('SSDHead')`, `@HEADS.register_module()`.

    Args:
        name: of the kind.
        factories: whether building gives callables that make objects later, with the arguments that the config gives: of
            those that wait for something, such as a norm for the number of channels, the first argument is the program's.
    """

    def __init__(self, name: str, factories: bool = False):
        self.name = name
        self.factories = factories

    def __repr__(self) -> str:
        return f'Registry({self.name})'

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __len__(self) -> int:
        return len(self.module_dict)

    @property
    def module_dict(self) -> Dict[str, Callable[..., Any]]:
        return {name: entry.make for name, entry in _TABLE.items() if entry.registry is self}

    def get(self, name: str) -> Optional[Callable[..., Any]]:
        entry = _TABLE.get(name)
        return entry.make if entry is not None and entry.registry is self else None

    def build(self, cfg: Any, default_args: Optional[Mapping[str, Any]] = None) -> Any:
        """`build_from_cfg`, of this kind."""
        return build_from_cfg(cfg, self, default_args)

    def register_module(self, name: Union[str, Sequence[str], None] = None, force: bool = False,
                        module: Optional[Callable] = None, *, parts: Optional[Mapping[str, Any]] = None) -> Callable:
        """Register a class or function under a name, or under several, as a decorator or by `module=`.

        Raises:
            KeyError: a name is taken by something else, and not `force`.
            TypeError: the decorator stands without its parentheses.
        """
        names = [name] if isinstance(name, str) else name
        if names is not None and not (isinstance(names, (list, tuple)) and all(isinstance(item, str) for item in names)):
            raise TypeError(f'register_module: expected a name or a list of names, not {name!r}; the decorator is written '
                            f'@{self.name}.register_module()')

        def register(make: Callable) -> Callable:
            for key in names or [make.__name__]:
                if key in _TABLE and _TABLE[key].make is not make and not force:
                    taken = _TABLE[key]
                    raise KeyError(f"'{key}' is already registered in {taken.registry.name} by {taken.make.__module__}; "
                                   f'choose another name, or force=True to replace it')
                _TABLE[key] = Component(make, self, parts or {})
            return make
        return register if module is None else register(module)


def build(config: Any, kind: Union[Registry, type, None] = None, *, key: str = '', without: Sequence[str] = (),
          **given: Any) -> Any:
    """Make objects from a config, depth first.

    Args:
        config: a Config (errors then name file and line), a plain dict or list, or a finished object, which is returned.
        kind: what the result must be: a Registry, or a class for a dict without `type`.
        key: dotted path of the section to build; '' builds `config` itself.
        without: keys of that section that are the caller's business, not the component's.
        given: arguments that the program adds to the config's; the config may not set them as well.

    Raises:
        ConfigError: unknown type or argument, missing argument, wrong kind, or a value that a constructor refuses.
    """
    return _Builder(config).build(_section(config, key, without), key, kind, given)


def build_from_cfg(cfg: Any, registry: Registry, default_args: Optional[Mapping[str, Any]] = None) -> Any:
    """`build` as components in MMCV's manner call it, on settings that have become objects, or are still a dict.

    Args:
        cfg: an object, which is returned; or the dict of one.
        registry: its kind.
        default_args: arguments for what the dict does not say; `type` may be among them.

    Raises:
        ConfigError: as `build`.
    """
    return build({**(default_args or {}), **cfg} if isinstance(cfg, dict) else cfg, registry)


def faults(config: Any, kind: Union[Registry, type, None] = None, *, key: str = '', without: Sequence[str] = (),
           given: Sequence[str] = ()) -> List[ConfigError]:
    """All that can be said against a section without calling a constructor: names, arguments, kinds, `check_arguments`.

    Args:
        config, kind, key, without: as for `build`.
        given: names of the arguments that the program will add.
    """
    walk = _Builder(config, found=[])
    walk.build(_section(config, key, without), key, kind, dict.fromkeys(given))
    return walk.found


def check(config: Any, kind: Union[Registry, type, None] = None, *, key: str = '', without: Sequence[str] = (),
          given: Sequence[str] = ()) -> None:
    """`faults`, of which the first is raised.

    Raises:
        ConfigError: as `build`.
    """
    for fault in faults(config, kind, key=key, without=without, given=given):
        raise fault


def _section(config: Any, key: str, without: Sequence[str]) -> Any:
    value = config
    for part in filter(None, key.split('.')):
        value = value[int(part)] if isinstance(value, (list, tuple)) else value[part]
    return {name: item for name, item in value.items() if name not in without} if without and isinstance(value, dict) else value


class _Builder:
    """One walk over a config; knows where each value was written. One that is to find all faults makes nothing."""

    def __init__(self, config: Any, found: Optional[List[ConfigError]] = None):
        self._where = getattr(config, 'where', lambda key: '')
        self.found = found

    def fail(self, key: str, message: str) -> None:
        """Raise the error, or note it."""
        self.note(ConfigError(': '.join(part for part in (self._where(key), key, message) if part)))

    def note(self, error: ConfigError) -> None:
        if self.found is None:
            raise error
        self.found.append(error)

    def build(self, value: Any, key: str, kind: Any, given: Optional[dict] = None) -> Any:
        if kind is LAZY:
            return value
        if isinstance(value, dict):
            if 'type' in value:
                return self._component(value, key, kind, given or {})
            if inspect.isclass(kind):
                return self._call(kind, {}, value, key, given or {})
            if isinstance(kind, Registry):
                return self.fail(key, f"a dict for {kind.name} needs a 'type', one of: {', '.join(sorted(kind.module_dict))}")
            return type(value)({name: self.build(item, f'{key}.{name}'.lstrip('.'), None) for name, item in value.items()})
        if inspect.isclass(kind) and isinstance(value, (str, int, float, list, tuple)):
            return self.fail(key, f'expected a dict of arguments of {kind.__name__}, not {shortened(value)}')
        if isinstance(value, (list, tuple)):
            return type(value)(self.build(item, f'{key}.{i}'.lstrip('.'), kind) for i, item in enumerate(value))
        if isinstance(kind, Registry) and isinstance(value, (str, int, float)):
            return self.fail(key, f'expected dict(type=...) of {kind.name}, not {shortened(value)}')
        return value

    def _component(self, value: Mapping, key: str, kind: Any, given: dict) -> Any:
        entry = self._find(value['type'], key, kind)
        if entry is None:
            return None
        arguments = {name: item for name, item in value.items() if name != 'type'}
        return self._call(entry.make, entry.parts, arguments, key, given, getattr(entry.registry, 'factories', False))

    def _find(self, name: Any, key: str, kind: Any) -> Optional[Component]:
        type_key = f'{key}.type'.lstrip('.')
        if inspect.isclass(name):  # API users may give the class itself
            entry = _TABLE.get(name.__name__)
            return entry if entry and entry.make is name else Component(name, kind, {})
        known = kind.module_dict if isinstance(kind, Registry) else _TABLE
        if not isinstance(name, str):
            return self.fail(type_key, f'expected the name of a component, not {name!r}')
        entry = _TABLE.get(name)
        if entry is None:
            of_kind = f' of {kind.name}' if isinstance(kind, Registry) else ''
            return self.fail(type_key, f"no component{of_kind} is called '{name}'.{did_you_mean(str(name), known)}")
        if isinstance(kind, Registry) and entry.registry is not kind:
            return self.fail(type_key, f"'{name}' belongs to {entry.registry.name}; {kind.name} is expected here: "
                                      f"{', '.join(sorted(known))}")
        if inspect.isclass(kind) and not (inspect.isclass(entry.make) and issubclass(entry.make, kind)):
            return self.fail(type_key, f"'{name}' belongs to {entry.registry.name}; a {kind.__name__} is expected here")
        return entry

    def _call(self, make: Callable, parts: Mapping[str, Any], arguments: Mapping[str, Any], key: str,
              given: dict, factory: bool = False) -> Any:
        parts = parts or getattr(make, 'config_parts', {})
        as_written, parts = parts is AS_WRITTEN, {} if parts is AS_WRITTEN else parts
        # A part that is None counts as absent: a detector without its backbone is missed here, not in the first step.
        present = {name: item for name, item in arguments.items() if item is not None or name not in parts}
        problems = find_problems(make, present, given, factory)
        for name, message in problems:
            self.fail('.'.join(filter(None, (key, name))), message)
        wrong = {name for name, _ in problems}
        built = {name: copy.deepcopy(item) if as_written else self.build(item, f'{key}.{name}'.lstrip('.'), parts.get(name))
                 for name, item in arguments.items() if name not in wrong}
        if self.found is not None:
            return None if problems else self._look_at(make, arguments, key)
        if factory:
            return functools.partial(make, **built, **given)
        try:
            return make(**built, **given)
        except UserError as error:
            if isinstance(error, ConfigError) and key and not str(error).startswith(self._where(key) or key):
                raise refusal(self._where, key, arguments, f'{make.__name__}: {error}') from error
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise refusal(self._where, key, arguments, f'{make.__name__} refused its arguments: {error}') from error

    def _look_at(self, make: Callable, arguments: Mapping[str, Any], key: str) -> None:
        """What the component itself has against its arguments."""
        look = getattr(make, 'check_arguments', None)
        if look is None:
            return
        asked = inspect.signature(look).parameters
        try:
            look(**{name: value for name, value in arguments.items() if name in asked})
        except UserError as error:
            self.note(refusal(self._where, key, arguments, f'{make.__name__}: {error}'))
