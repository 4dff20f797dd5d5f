"""Names of hook priorities; lower numbers run first."""
from __future__ import annotations

from enum import IntEnum
from typing import Union

from mmcv_need.arguments import is_number
from mmcv_need.errors import ConfigError


class Priority(IntEnum):
    HIGHEST = 0
    VERY_HIGH = 10
    HIGH = 30
    ABOVE_NORMAL = 40
    NORMAL = 50
    BELOW_NORMAL = 60
    LOW = 70
    VERY_LOW = 90
    LOWEST = 100


def get_priority(priority: Union[int, str, Priority]) -> int:
    """The number of a priority given as a number from 0 to 100 or as a name in any case."""
    if is_number(priority, int) and 0 <= priority <= 100:
        return int(priority)
    if isinstance(priority, str) and priority.upper() in Priority.__members__:
        return int(Priority[priority.upper()])
    raise ConfigError(f"priority {priority!r} is neither a number from 0 to 100 nor one of {', '.join(Priority.__members__)}")
