"""Whether a constructor takes the arguments that a config gives it: their names, and the types of plain values."""
from __future__ import annotations

import inspect
from numbers import Real
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Tuple

import numpy as np

from mmcv_need.errors import did_you_mean

PLAIN = {'int': int, 'float': (int, float), 'bool': bool, 'str': str}


def find_problem(make: Callable, arguments: Mapping[str, Any], given: Collection[str],
                 factory: bool) -> Optional[Tuple[str, str]]:
    """What is wrong with the arguments of a component.

    Args:
        make: its class or function.
        arguments: from the config.
        given: names of those that the program adds.
        factory: the first argument comes later, and so may others.

    Returns:
        None, or the name of the argument ('' if one is missing) and what to say about it.
    """
    accepted = accepted_arguments(make, skip_first=factory)
    if accepted is None:
        return None
    called = f'{make.__name__} ({make.__module__})'
    for name, value in arguments.items():
        if name not in accepted or name in given:
            free = ['type', *(other for other in accepted if other not in given)]
            return name, f'{called} has no such argument.{did_you_mean(name, free)}'
        expected = plain_type(accepted[name])
        if expected and not is_a(value, expected):
            return name, f'{make.__name__}: expected a value of type {expected}, not {value!r}'
    missing = [name for name, p in accepted.items() if p.default is p.empty and name not in arguments and name not in given]
    if missing and not factory:
        return '', f"{called} needs the argument{'s' * (len(missing) > 1)} {', '.join(missing)}"
    return None


def accepted_arguments(make: Callable, skip_first: bool) -> Optional[Dict[str, inspect.Parameter]]:
    """Arguments that a component takes by name; those of a parent class too where it passes `**kwargs` on.

    None if there is no telling: a function or class that keeps its `**kwargs`.
    """
    accepted: Dict[str, inspect.Parameter] = {}
    constructors = [cls for cls in make.__mro__ if '__init__' in vars(cls)] if inspect.isclass(make) else [make]
    for constructor in constructors:
        if constructor is object and len(constructors) > 1:
            break  # whoever got here has `**kwargs`, and object takes none of them
        parameters = list(inspect.signature(constructor).parameters.values())[1 if skip_first else 0:]
        for p in parameters:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                accepted.setdefault(p.name, p)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return accepted
    return None


def plain_type(parameter: inspect.Parameter) -> str:
    """The annotation of an argument if it is a plain type, such as 'int' or 'Optional[int]'; else ''."""
    name = str(parameter.annotation)
    name = name[len('Optional['):-1] if name.startswith('Optional[') else name
    return name if name in PLAIN else ''


def is_a(value: Any, expected: str) -> bool:
    """Whether a plain value of a config is of a type; objects and None are the component's business."""
    if value is None or not isinstance(value, (str, int, float, list, tuple, dict)):
        return True
    return isinstance(value, PLAIN[expected]) and (expected == 'bool' or not isinstance(value, bool))


def is_number(value: Any, kind: type = Real) -> bool:
    """Whether a value is a number of a kind, such as numbers.Integral. True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def listed(value: Any) -> List[Any]:
    """The items of a list, tuple or array; of anything else a list of that alone."""
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
