"""Whether a plain value of a config is what an annotation says: numbers, text, switches, and lists and dicts of them.

What an annotation says beyond that (a class, a callable, Any) is the component's business, and so is an object as a value.
"""
from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Dict, Union, get_args, get_origin, get_type_hints

PLAIN = (str, int, float, list, tuple, dict)  # what values of a config are, beside None; bool is an int
WORDS = {int: 'an int', float: 'a number', bool: 'True or False', str: 'a string'}
COUNTS = {1: 'one', 2: 'two', 3: 'three', 4: 'four'}


@functools.lru_cache(maxsize=None)
def hints_of(function: Callable[..., Any]) -> Dict[str, Any]:
    """The annotations of a function; {} if they name what this Python does not have."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value can be what a hint says. An int is a float too; True and False are neither; a tuple may be a list."""
    if value is None or not isinstance(value, PLAIN):
        return value is not None or allows_none(hint)
    if hint in WORDS:
        kinds = (int, float) if hint is float else hint
        return isinstance(value, kinds) and isinstance(value, bool) == (hint is bool)
    if hint is type(None):
        return False
    if get_origin(hint) is Union:
        return any(fits(value, option) for option in get_args(hint))
    if _is_list(hint):
        return isinstance(value, (list, tuple)) and _items_fit(value, hint)
    if _is_dict(hint):
        of_keys, of_values = get_args(hint) or (Any, Any)
        return isinstance(value, dict) and all(fits(key, of_keys) and fits(item, of_values) for key, item in value.items())
    return True


def allows_none(hint: Any) -> bool:
    """Whether None can be what a hint says."""
    if get_origin(hint) is Union:
        return any(map(allows_none, get_args(hint)))
    return not (hint in WORDS or _is_list(hint) or _is_dict(hint))


def without_none(hint: Any) -> Any:
    """What an Optional is of; anything else as it is."""
    options = [option for option in get_args(hint) if option is not type(None)]
    return options[0] if get_origin(hint) is Union and len(options) == 1 else hint


def in_words(hint: Any) -> str:
    """What values fit a hint, such as 'a list of numbers'."""
    if hint in WORDS:
        return WORDS[hint]
    if get_origin(hint) is Union:
        return ' or '.join(dict.fromkeys(in_words(option) for option in get_args(hint) if option is not type(None)))
    if _is_list(hint):
        inner = get_args(hint)
        if not _has_length(hint):
            return f'a list of {_plural(inner[0])}' if inner and inner[0] is not Any else 'a list'
        return f'a list of {COUNTS.get(len(inner), len(inner))} {_plural(inner[0])}'
    return 'a dict' if _is_dict(hint) else 'something else'


def _plural(hint: Any) -> str:
    names = {int: 'ints', float: 'numbers', str: 'strings', bool: 'switches'}
    if get_origin(hint) is Union:
        return ' or '.join(_plural(option) for option in get_args(hint))
    if _is_list(hint):
        return f"lists{in_words(hint)[len('a list'):]}"
    return names.get(hint, 'dicts' if _is_dict(hint) else 'values')


def _items_fit(value: Any, hint: Any) -> bool:
    inner = get_args(hint)
    if _has_length(hint):
        return len(value) == len(inner) and all(map(fits, value, inner))
    return all(fits(item, inner[0]) for item in value) if inner else True


def _has_length(hint: Any) -> bool:
    return get_origin(hint) is tuple and ... not in get_args(hint)


def _is_list(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and origin is not str and issubclass(origin, (list, tuple, Sequence)) \
        and not hasattr(origin, '_fields')


def _is_dict(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, (dict, Mapping))
