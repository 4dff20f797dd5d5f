"""How a config is brought to one spelling: look a key up, move it, or say that it was said twice."""
from __future__ import annotations

from typing import Any, Collection, Optional

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, did_you_mean

ABSENT = object()


def lookup(cfg: Config, key: str, default: Any = None) -> Any:
    """The value under a dotted key, with list indices, or the default."""
    value: Any = cfg
    for part in key.split('.'):
        if isinstance(value, (list, tuple)) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
            continue
        if not isinstance(value, (dict, Config)) or part not in value:
            return default
        value = value[part]
    return value


def move(cfg: Config, old: str, new: str) -> None:
    """Say under the key `new` what the config says under `old`, if it does; to say it under both is an error."""
    given, taken = lookup(cfg, old, ABSENT), lookup(cfg, new, ABSENT)
    if given is ABSENT:
        return
    if given is not None and taken is not None and taken is not ABSENT:
        raise twice(cfg, old, new)
    if taken is ABSENT or taken is None:
        cfg.move(old, new)
    else:
        drop(cfg, old)


def drop(cfg: Config, key: str) -> None:
    """Take a dotted key out of the config, if it is there."""
    section, _, name = key.rpartition('.')
    holder = lookup(cfg, section) if section else cfg
    if isinstance(holder, (dict, Config)):
        holder.pop(name, None)


def twice(cfg: Config, old: str, new: str) -> ConfigError:
    return ConfigError(f'{cfg.where(old)}: {old} and {new} ({cfg.where(new)}) say the same thing twice. Keep {new}')


def section_of(cfg: Config, key: str, known: Optional[Collection[str]] = None) -> Any:
    """The dict under a key; None if there is none.

    Args:
        known: the keys that it may have; None allows all.

    Raises:
        ConfigError: what stands there is no dict, or has another key.
    """
    section = lookup(cfg, key)
    if section is not None and not isinstance(section, dict):
        raise ConfigError(f'{cfg.where(key)}: {key}: expected a dict, not {section!r}')
    for name in section or {}:
        if known is not None and name not in known:
            raise ConfigError(f"{cfg.where(f'{key}.{name}')}: {key}.{name}: nothing reads this key."
                              f'{did_you_mean(name, known)}')
    return section
