"""ConfigDict: a dict whose entries are attributes as well, also in the dicts within it."""
from __future__ import annotations

import copy
from typing import Any

from mmcv_need.errors import did_you_mean


class ConfigDict(dict):
    """A dict whose entries are attributes as well; the dicts within it, in lists and tuples too, are ConfigDicts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.update(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, wrapped(value))

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            hint = '' if name.startswith('__') else did_you_mean(name, [str(key) for key in self])
            raise AttributeError(f"the config has no '{name}' here.{hint}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        settable(self, name)
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"the config has no '{name}' here.{did_you_mean(name, [str(key) for key in self])}")
        del self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> ConfigDict:
        return ConfigDict(self)


def wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return value if type(value) is ConfigDict else ConfigDict(value)
    if type(value) in (list, tuple):
        return type(value)([wrapped(item) for item in value])
    return value


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)([plain(item) for item in value])
    return copy.deepcopy(value)


def settable(owner: Any, name: str) -> None:
    """A key named like a method would never be seen as an attribute."""
    if hasattr(type(owner), name):
        raise AttributeError(f"'{name}' is a method. To set a key of that name, write cfg['{name}'] = ...")
