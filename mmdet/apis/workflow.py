"""`workflow`: how epochs of training, and of losses on `data.val`, follow each other."""
from __future__ import annotations

from typing import List, Tuple

from mmcv_need.arguments import is_number
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError

MODES = ('train', 'val')


def workflow_of(cfg: Config) -> List[Tuple[str, int]]:
    """Pairs such as ('train', 1), of which at least one trains.

    Raises:
        ConfigError: anything else.
    """
    given = cfg.get('workflow') or [('train', 1)]
    steps = [tuple(step) if isinstance(step, (list, tuple)) else (step,) for step in given]
    for step in steps:
        if len(step) != 2 or step[0] not in MODES or not is_number(step[1], int) or step[1] < 1:
            raise _error(cfg, given)
    if 'train' not in [mode for mode, _ in steps]:
        raise _error(cfg, given)
    return steps


def has_val(cfg: Config) -> bool:
    return 'val' in [mode for mode, _ in workflow_of(cfg)]


def _error(cfg: Config, given: object) -> ConfigError:
    return ConfigError(f"{cfg.where('workflow')}: workflow: expected pairs of mode and epochs, such as [('train', 1)] or "
                       f"[('train', 2), ('val', 1)], not {given!r}".lstrip(': '))
