"""Which line of a config is to blame when a constructor refuses what it is given: often not that of the section."""
from __future__ import annotations

import re
from typing import Callable, Iterable

from mmcv_need.errors import ConfigError


def refusal(where: Callable[[str], str], key: str, arguments: Iterable[str], message: str) -> ConfigError:
    """The error of a section whose arguments were refused, with the place of the argument that the message is about.

    That is one that the message names; else those that come from another file than the section, or from the command line, are
    suspected and named.

    Args:
        where: dotted key -> 'file:line', '' if unknown.
        key: of the section.
        arguments: names of what the section gives.
        message: what the constructor said.
    """
    home = where(key)
    places = {name: where(f'{key}.{name}'.lstrip('.')) for name in arguments}
    foreign = [name for name, place in places.items() if place and _file(place) != _file(home)]
    named = [name for name in places if re.search(rf'(?<!\w){re.escape(str(name))}(?!\w)', message)]
    if named:
        home = places[next((name for name in foreign if name in named), named[0])] or home
    elif foreign:
        home = places[foreign[0]]
        message += f" (set there: {', '.join(name for name in foreign if places[name] == home)})"
    return ConfigError(': '.join(part for part in (home, key, message) if part))


def _file(place: str) -> str:
    return re.sub(r':\d+$', '', place)
