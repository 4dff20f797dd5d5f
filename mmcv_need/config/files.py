"""The files of one config: found, read, and laid over their `_base_` files."""
from __future__ import annotations

import os
from typing import Any, Dict, List, Set, Tuple

from mmcv_need.config.merge import overlay
from mmcv_need.config.places import Place, Trace, shown
from mmcv_need.config.reader import SUFFIXES, read_text
from mmcv_need.errors import ConfigError, nearest

MAX_FILE_BYTES = 1 << 20
MAX_FILES = 100
MAX_BASE_DEPTH = 10


class Family:
    """The files of one config, read bases first."""

    def __init__(self) -> None:
        self.sources: List[str] = []
        self.texts: List[str] = []
        self.used: Set[str] = set()
        self.outdated: Set[str] = set()  # those of them that a later file gave another value, of which it made nothing
        self._count = 0

    def load(self, path: str, below: Tuple[str, ...], named_at: str) -> Tuple[Dict[str, Any], Trace]:
        """One file laid over its bases. `below` are the real paths of the files that led here, `named_at` where."""
        if not path.isprintable():
            raise ConfigError(f'{named_at}{path!r} does not exist.')
        real = os.path.realpath(os.path.expanduser(path))
        self._count += 1
        if real in below:
            raise ConfigError(f'{named_at}{shown(path)} is its own _base_, directly or through others.')
        if len(below) > MAX_BASE_DEPTH or self._count > MAX_FILES:
            raise ConfigError(f'{named_at}more than {MAX_BASE_DEPTH} levels of _base_, or {MAX_FILES} files.')
        if below and os.path.exists(real):
            check_base(path, real, below[0], named_at)
        base: Tuple[Dict[str, Any], Trace] = ({}, Trace(Place(path), {}))

        def load_bases(names: List[str], place: Place) -> Tuple[Dict[str, Any], Trace]:
            for name in names:
                file = os.path.join(os.path.dirname(os.path.expanduser(path)), os.path.expanduser(name))
                self._join(base, self.load(file, (*below, real), f'{place}: _base_: '), place)
            return base

        text = read_file(path, named_at)
        source = read_text(text, path, load_bases)
        base = source.base or base
        changed = {name for name, value in source.data.items() if name in base[0] and base[0][name] != value}
        self.outdated = (self.outdated | (changed & self.used)) - source.used
        self.used |= source.used
        self.sources.append(shown(path))
        self.texts.append(f'{shown(path)}\n{text}')
        overlay(base[0], base[1], source.data, source.trace)
        return base

    @staticmethod
    def _join(base: Tuple[Dict[str, Any], Trace], other: Tuple[Dict[str, Any], Trace], place: Place) -> None:
        for key in other[0]:
            if key in base[0]:
                first, second = (trace.children[key].place for _, trace in (base, other))
                raise ConfigError(f"{place}: _base_: '{key}' is set by two bases, {first} and {second}. Keep one.")
        base[0].update(other[0])
        base[1].children.update(other[1].children)


def check_base(path: str, real: str, home: str, named_at: str) -> None:
    """A `_base_` is a config, whatever links lead to it, and nothing that another program keeps to itself.

    What it says would end in logs and checkpoints; so it is not even opened.

    Args:
        path, real: of the file, as it was named and without links.
        home: the real path of the config that the user named.
        named_at: how an error begins.

    Raises:
        ConfigError: its name is not that of a config, or it lies in a hidden place that is not the config's own.
    """
    for name in (path, real):
        suffix = os.path.splitext(name)[1].lower()
        if suffix not in SUFFIXES:
            link = '' if name == path else f', a link to {shown(real)}'
            raise ConfigError(f"{named_at}{shown(path)}{link}: a config ends in .py, .json, .yaml or .yml, not in '{suffix}'.")
    above = os.path.commonpath([real, home])
    hidden = next((part for part in os.path.relpath(real, above).split(os.sep) if part.startswith('.') and part != '.'), None)
    if hidden:
        raise ConfigError(f"{named_at}{shown(path)}: '{hidden}' is hidden, as are places where programs keep their secrets. "
                          'Copy the file to where this config is.')


def read_file(path: str, named_at: str) -> str:
    """The text of a config file.

    Raises:
        ConfigError: for a file that is missing, too large, or not UTF-8; it begins with `named_at`.
    """
    where = named_at + shown(path)
    full = os.path.expanduser(path)
    try:
        if not os.path.exists(full):
            raise ConfigError(f'{where} does not exist.{_elsewhere(path)}')
        if not os.path.isfile(full):
            raise ConfigError(f'{where} is not a file.')
        with open(full, 'rb') as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigError(f'{where}: larger than {MAX_FILE_BYTES} bytes, which is no config.')
        return raw.decode('utf-8-sig')
    except OSError as error:
        raise ConfigError(f'{where}: cannot be read: {error.strerror or error}.') from None
    except UnicodeDecodeError as error:
        raise ConfigError(f'{where}: not UTF-8 text (byte {error.start}). Save it as UTF-8.') from None


def _elsewhere(path: str) -> str:
    """' Did you mean ...?' with a file of the same or a similar name below the nearest `configs` folder."""
    folder = os.path.dirname(os.path.abspath(os.path.expanduser(path)))
    while os.path.basename(folder) != 'configs' or not os.path.isdir(folder):
        parent = os.path.dirname(folder)
        if parent == folder:
            folder = os.path.abspath('configs')
            break
        folder = parent
    found = [os.path.join(root, name) for root, _, names in os.walk(folder) for name in sorted(names)
             if name.endswith(SUFFIXES)]
    names = {os.path.basename(file): file for file in reversed(found)}
    name = os.path.basename(path)
    close = name if name in names else nearest(name, names, 0.8)
    return f" Did you mean '{shown(names[close])}'?" if close else ''
