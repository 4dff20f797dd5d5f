"""`${key}` in the strings of a config: what stands under that key, as MMDetection 2.19 and later put it there."""
from __future__ import annotations

import copy
import re
from typing import Any, Set

from mmcv_need.config import Config
from mmcv_need.config.draft import MAX_WORK
from mmcv_need.errors import ConfigError, did_you_mean
from mmdet.apis.dialects.spellings import ABSENT, lookup

REFERENCE = re.compile(r'\$\{([A-Za-z\d_.]+)\}')


def settle_substitutions(cfg: Config) -> None:
    """Put the values of keys in the place of `${key}`, in place.

    A string that is nothing else becomes the value, of any kind; within a longer string it becomes text. What is put there is
    as the config says it: it is not looked through again. `model_wrapper`, which refers to the `model` within it, becomes the
    model.

    Raises:
        ConfigError: there is no such key; a dict or a list within a longer string; or all of it grows too large.
    """
    values = _Values(cfg)
    changed = {name: values.within(value, name) for name, value in cfg.items()}
    cfg.update({name: value for name, value in changed.items() if value is not cfg[name]})
    if cfg.get('model_wrapper') is not None:
        cfg.pop('model', None)
        cfg.move('model_wrapper', 'model')


def names_referred_to(value: Any) -> Set[str]:
    """The top-level keys that a config, or a part of it, puts somewhere else in this way."""
    if isinstance(value, str):
        return {name.partition('.')[0] for name in REFERENCE.findall(value)}
    items = value.values() if isinstance(value, (dict, Config)) else value if isinstance(value, (list, tuple)) else ()
    return set().union(*map(names_referred_to, items))


class _Values:
    """Makes values without references. Those that have none stay the same objects."""

    def __init__(self, cfg: Config):
        self.cfg, self.made = cfg, 0

    def within(self, value: Any, key: str) -> Any:
        if isinstance(value, str):
            return self._of_text(value, key) if '${' in value else value
        if not isinstance(value, (dict, list, tuple)):
            return value
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        new = {name: self.within(item, f'{key}.{name}') for name, item in entries}
        if all(new[name] is item for name, item in (value.items() if isinstance(value, dict) else enumerate(value))):
            return value
        return new if isinstance(value, dict) else type(value)(new.values())

    def _of_text(self, text: str, key: str) -> Any:
        whole = REFERENCE.fullmatch(text)
        if whole:
            return copy.deepcopy(self._under(whole.group(1), text, key))
        return REFERENCE.sub(lambda found: self._as_text(found.group(1), text, key), text)

    def _as_text(self, name: str, text: str, key: str) -> str:
        value = self._under(name, text, key)
        if isinstance(value, (dict, list, tuple)):
            raise ConfigError(f'{self.cfg.where(key)}: {key}: {text!r:.80}: {name} is a {type(value).__name__}, which cannot '
                              f'stand within a text. Write ${{{name}}} alone')
        return str(value)

    def _under(self, name: str, text: str, key: str) -> Any:
        value = lookup(self.cfg, name, ABSENT)
        if value is ABSENT:
            raise ConfigError(f"{self.cfg.where(key)}: {key}: {text!r:.80}: the config has no '{name}'."
                              f'{did_you_mean(name, list(self.cfg))}')
        self.made += len(repr(value))
        if self.made > MAX_WORK:
            raise ConfigError(f'{self.cfg.where(key)}: {key}: {text!r:.80}: the data grows too large. Write less')
        return value
