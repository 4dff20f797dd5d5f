"""Whether a constructor takes the arguments that a config gives it: their names, and the types of plain values."""
from __future__ import annotations

import inspect
from numbers import Real
from typing import Any, Callable, Collection, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from mmcv_need.errors import did_you_mean
from mmcv_need.value_types import fits, hints_of, in_words, without_none

# How the plain types are called in messages.
PLAIN = {int: 'int', float: 'float', bool: 'bool', str: 'str'}


class Problem(NamedTuple):
    """What is wrong with the arguments of a component: the name of one ('' if some are missing), and what to say about it."""
    name: str
    message: str


def find_problems(make: Callable, arguments: Mapping[str, Any], given: Collection[str], factory: bool) -> List[Problem]:
    """All that is wrong with the arguments of a component.

    Args:
        make: its class or function.
        arguments: from the config.
        given: names of those that the program adds.
        factory: the first argument comes later, unless it has a default, and so may others.
    """
    accepted = accepted_arguments(make, skip_first=factory)
    if accepted is None:
        return []
    called, problems = f'{make.__name__} ({make.__module__})', []
    for name, value in arguments.items():
        if name not in accepted or name in given:
            free = ['type', *(other for other in accepted if other not in given)]
            problems.append(Problem(name, f'{called} has no such argument.{did_you_mean(name, free)}'))
            continue
        expected = what_it_should_be(value, accepted[name])
        if expected:
            problems.append(Problem(name, f'{make.__name__}: expected {expected}, not {shortened(value)}'))
    missing = [name for name, p in accepted.items() if p.default is p.empty and name not in arguments and name not in given]
    if missing and not factory and accepted.keys() >= arguments.keys():  # else the one that is missing may be misspelt
        problems.append(Problem('', f"{called} needs the argument{'s' * (len(missing) > 1)} {', '.join(missing)}"))
    return problems


def accepted_arguments(make: Callable, skip_first: bool) -> Optional[Dict[str, inspect.Parameter]]:
    """Arguments that a component takes by name; those of a parent class too where it passes `**kwargs` on.

    None if there is no telling: a function or class that keeps its `**kwargs`.
    """
    accepted: Dict[str, inspect.Parameter] = {}
    constructors = [cls for cls in make.__mro__ if '__init__' in vars(cls)] if inspect.isclass(make) else [make]
    for constructor in constructors:
        if constructor is object and len(constructors) > 1:
            break  # whoever got here has `**kwargs`, and object takes none of them
        parameters = list(inspect.signature(constructor).parameters.values())
        if skip_first and parameters and parameters[0].default is inspect.Parameter.empty:
            del parameters[0]
        hints = hints_of(constructor.__init__ if inspect.isclass(constructor) else constructor)
        for p in parameters:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                written = isinstance(p.annotation, str)  # postponed, as all of ours are
                accepted.setdefault(p.name, p.replace(annotation=hints.get(p.name, Any) if written else Any))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return accepted
    return None


def what_it_should_be(value: Any, parameter: inspect.Parameter) -> str:
    """What an argument that is no component should be; '' if the value is. Objects are the component's business.

    Args:
        value: of a config.
        parameter: of `accepted_arguments`, whose annotations are types.
    """
    hint = parameter.annotation
    if (value is None and parameter.default is None) or fits(value, hint):
        return ''
    only = without_none(hint)
    return f'a value of type {PLAIN[only]}' if only in PLAIN else in_words(hint)


def shortened(value: Any, limit: int = 100) -> str:
    """A value in a message."""
    text = repr(value)
    return text if len(text) <= limit else f'{text[:limit]}...'


def is_number(value: Any, kind: type = Real) -> bool:
    """Whether a value is a number of a kind, such as numbers.Integral. True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def listed(value: Any) -> List[Any]:
    """The items of a list, tuple or array; of anything else a list of that alone."""
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
