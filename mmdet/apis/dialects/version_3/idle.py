"""What of MMDetection 3 has no counterpart here."""
from __future__ import annotations

from typing import List

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.dialects.spellings import drop, section_of

LOCAL = ('local', 'disk')


def leave_out(cfg: Config, key: str, idle: List[str]) -> None:
    """Take a key out of the config that changes nothing here, and note it with its line."""
    place = cfg.where(key)
    idle.append(f'{key} ({place})' if place else key)
    drop(cfg, key)


def refusal(cfg: Config, key: str, problem: str) -> ConfigError:
    """The error for what would change the result, and cannot be said here."""
    return ConfigError(f'{cfg.where(key)}: {key}: {problem}'.lstrip(': '))


def check_local(cfg: Config, key: str) -> None:
    """Take `backend_args` out, which may name the disk only."""
    backend = (section_of(cfg, key) or {}).get('backend', 'local')
    if backend not in LOCAL:
        raise refusal(cfg, key, f"files are read from disk; expected None or dict(backend='local'), not {backend!r}")
    drop(cfg, key)
