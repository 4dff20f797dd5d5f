"""Which line of a config is to blame when a constructor refuses what it is given: often not that of the section."""
from __future__ import annotations

import re
from typing import Any, Callable, Mapping

from mmcv_need.errors import ConfigError


def refusal(where: Callable[[str], str], key: str, arguments: Mapping[str, Any], message: str) -> ConfigError:
    """The error of a section whose arguments were refused, with the place of the argument that the message is about.

    That is one that the message means; else those that come from another file than the section, or from the command line, are
    suspected and named.

    Args:
        where: dotted key -> 'file:line', '' if unknown.
        key: of the section.
        arguments: what the section gives.
        message: what the constructor said.
    """
    home = where(key)
    places = {name: where(f'{key}.{name}'.lstrip('.')) for name in arguments}
    foreign = [name for name, place in places.items() if place and _file(place) != _file(home)]
    meant = [name for name, value in arguments.items() if _means(message, name, value)]
    if meant:
        home = places[next((name for name in foreign if name in meant), meant[0])] or home
    elif foreign:
        home = places[foreign[0]]
        message += f" (set there: {', '.join(name for name in foreign if places[name] == home)})"
    return ConfigError(': '.join(part for part in (home, key, message) if part))


def _means(message: str, name: str, value: Any) -> bool:
    """Whether a message is about an argument: it begins with its name, has it where that is no word, or quotes its value."""
    word = rf'(?<!\w){re.escape(str(name))}(?!\w)'
    begins = re.match(rf"(\w+: )?'?{word}", message) is not None
    named = '_' in name and re.search(word, message) is not None
    return begins or named or (isinstance(value, str) and repr(value) in message)


def _file(place: str) -> str:
    return re.sub(r':\d+$', '', place)
