"""The hooks that a config lists: `log_config.hooks` and `custom_hooks`."""
from __future__ import annotations

from typing import Any, List, NamedTuple

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import HOOKS, Hook, LoggerHook
from mmcv_need.priority import Priority, get_priority
from mmcv_need.registry import build
from mmdet.apis.settings import LogSettings


class ListedHook(NamedTuple):
    """A hook, its priority, and where it is asked for, such as 'configs/x.py:12: custom_hooks.0'."""
    hook: Hook
    priority: int
    place: str


def logger_hooks(cfg: Config) -> List[ListedHook]:
    """Those of `log_config.hooks`; they have `log_config.interval` where they say none themselves.

    Raises:
        ConfigError: an entry is no hook that writes logs.
    """
    if cfg.get('log_config') is None:
        return []
    settings = build(cfg, LogSettings, key='log_config')
    listed = []
    for i, entry in enumerate(settings.hooks):
        key = f'log_config.hooks.{i}'
        _check_entry(cfg, key, entry)
        given = {} if 'interval' in entry else {'interval': settings.interval}
        config, path = (cfg, key) if 'hooks' in cfg.log_config else (entry, '')  # which are then the settings' own
        listed.append(ListedHook(build(config, LoggerHook, key=path, **given), Priority.VERY_LOW, place_of(cfg, key)))
    return listed


def custom_hooks(cfg: Config) -> List[ListedHook]:
    """Those of `custom_hooks`, each with its `priority`.

    Raises:
        ConfigError: an entry is no hook, or its priority is none.
    """
    listed = []
    for i, entry in enumerate(cfg.get('custom_hooks') or []):
        key = f'custom_hooks.{i}'
        _check_entry(cfg, key, entry)
        hook = build(cfg, HOOKS, key=key, without=('priority',))
        try:
            priority = get_priority(entry.get('priority', Priority.NORMAL))
        except ConfigError as error:
            raise ConfigError(f"{place_of(cfg, f'{key}.priority')}: {error}") from error
        listed.append(ListedHook(hook, priority, place_of(cfg, key)))
    return listed


def place_of(cfg: Config, key: str) -> str:
    """Where a key of a config stands, and its name."""
    return f'{cfg.where(key)}: {key}'.lstrip(': ')


def _check_entry(cfg: Config, key: str, entry: Any) -> None:
    if not isinstance(entry, dict) or 'type' not in entry:
        raise ConfigError(f'{place_of(cfg, key)}: expected the dict(type=...) of a hook, not {entry!r}')
