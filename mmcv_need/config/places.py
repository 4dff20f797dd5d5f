"""Where the values of a config were written, and the words in which messages say so."""
from __future__ import annotations

import os
from typing import Any, Dict, Iterable, NamedTuple, Tuple


class Place(NamedTuple):
    """A line of a file, or (line 0) another origin such as '--cfg-options'."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f'{shown(self.file)}:{self.line}' if self.line else self.file


class Trace(NamedTuple):
    """Where a value was written, and the same for what it contains, by key or index."""

    place: Place
    children: Dict[Any, Any]


class LineError(ValueError):
    """Text that cannot be read: a problem and its line (0 if unknown). `read_text` makes it a ConfigError."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def entries(value: Any) -> Iterable[Tuple[Any, Any]]:
    """The (key, value) or (index, value) pairs of a container; none of anything else."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, (list, tuple)) else ()


def traced(value: Any, place: Place) -> Trace:
    """One place for a value and all that it contains."""
    return Trace(place, {key: traced(item, place) for key, item in entries(value)})


def completed(trace: Trace, value: Any) -> Trace:
    """The trace brought into step with data that a program may have changed since; what it set has no place."""
    unknown = Trace(Place(''), {})
    return Trace(trace.place, {key: completed(trace.children.get(key, unknown), item) for key, item in entries(value)})


def shown(path: str) -> str:
    """A path as people write it: relative to the current directory when inside it."""
    full, here = os.path.abspath(os.path.expanduser(path)), os.getcwd()
    return os.path.relpath(full, here) if full.startswith(os.path.join(here, '')) else full


def shortened(text: str) -> str:
    """Text of a user, fit for one line of a message."""
    return ' '.join(text.split())[:80]


def kind(value: Any) -> str:
    """What a value is, in words: 'None', 'a list', 'an int'."""
    name = type(value).__name__
    return 'None' if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
