"""Learning rates that fall along a curve. lr_updater.py has the base class, fixed rates and steps; lr_cycles.py what rises too.

In a config `policy='CosineAnnealing'` stands for CosineAnnealingLrUpdaterHook, `policy='poly'` for PolyLrUpdaterHook. Below,
t of T epochs (or iterations) are over.
"""
from __future__ import annotations

import itertools
from bisect import bisect_right
from typing import Any, Optional, Sequence

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS
from mmcv_need.hooks.schedules.curves import Target, cosine
from mmcv_need.hooks.schedules.lr_updater import LrUpdaterHook


@HOOKS.register_module()
class ExpLrUpdaterHook(LrUpdaterHook):
    """base * gamma^t."""

    def __init__(self, gamma: float, **kwargs: Any):
        super().__init__(**kwargs)
        if gamma <= 0:
            raise ConfigError(f'gamma: expected a number above 0, not {gamma}')
        self.gamma = gamma

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        return base_lr * self.gamma ** progress


@HOOKS.register_module()
class PolyLrUpdaterHook(LrUpdaterHook):
    """min_lr + (base - min_lr) * (1 - t / T)^power."""

    def __init__(self, power: float = 1.0, min_lr: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.power = power
        self.min_lr = min_lr

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        return self.min_lr + (base_lr - self.min_lr) * (1 - progress / length) ** self.power


@HOOKS.register_module()
class InvLrUpdaterHook(LrUpdaterHook):
    """base / (1 + gamma * t)^power."""

    def __init__(self, gamma: float, power: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        if gamma < 0:
            raise ConfigError(f'gamma: expected 0 or more, not {gamma}')
        self.gamma = gamma
        self.power = power

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        return base_lr * (1 + self.gamma * progress) ** -self.power


@HOOKS.register_module()
class CosineAnnealingLrUpdaterHook(LrUpdaterHook):
    """Half a cosine wave from the base rate at t = 0 to the lowest rate at t = T, which the last epoch does not reach.

    Args:
        min_lr, min_lr_ratio: the lowest rate, or its share of the base rate; one of them.
    """

    def __init__(self, min_lr: Optional[float] = None, min_lr_ratio: Optional[float] = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.lowest = Target('min_lr', min_lr, min_lr_ratio)

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        return cosine(base_lr, self.lowest.of(base_lr), progress / length)


@HOOKS.register_module()
class FlatCosineAnnealingLrUpdaterHook(LrUpdaterHook):
    """The base rate up to t = round(start_percent * T), then half a cosine wave.

    Args:
        start_percent: the part of the run before the wave, in [0, 1].
        min_lr, min_lr_ratio: the lowest rate, or its share of the base rate; one of them.
    """

    def __init__(self, start_percent: float = 0.75, min_lr: Optional[float] = None, min_lr_ratio: Optional[float] = None,
                 **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= start_percent <= 1:
            raise ConfigError(f'start_percent: expected a number from 0 to 1, not {start_percent}')
        self.start_percent = start_percent
        self.lowest = Target('min_lr', min_lr, min_lr_ratio)

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        start = round(length * self.start_percent)
        if progress <= start:
            return base_lr
        return cosine(base_lr, self.lowest.of(base_lr), (progress - start) / (length - start))


@HOOKS.register_module()
class CosineRestartLrUpdaterHook(LrUpdaterHook):
    """Half a cosine wave in each period, one after the other.

    Args:
        periods: epochs (or iterations) of each; together at least those of the run.
        restart_weights: of each period, the share of (base - lowest) above the lowest rate from which it starts.
        min_lr, min_lr_ratio: the lowest rate, or its share of the base rate; one of them.
    """

    def __init__(self, periods: Sequence[int], restart_weights: Sequence[float] = (1,), min_lr: Optional[float] = None,
                 min_lr_ratio: Optional[float] = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not periods or len(periods) != len(restart_weights) or min(periods) < 1:
            raise ConfigError(f'expected periods of 1 or more, and as many restart_weights, not {periods!r} and '
                              f'{restart_weights!r}')
        self.starts = [0, *itertools.accumulate(periods)]
        self.weights = list(restart_weights)
        self.lowest = Target('min_lr', min_lr, min_lr_ratio)

    def check_fits(self, length: int, groups: int) -> None:
        if self.starts[-1] < length:
            raise ConfigError(f'periods: together they have {self.starts[-1]} of the {length} '
                              f"{'epochs' if self.by_epoch else 'iterations'} of the run")

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        i = bisect_right(self.starts, progress) - 1
        start, end = self.starts[i:i + 2]
        lowest = self.lowest.of(base_lr)
        return cosine(lowest + self.weights[i] * (base_lr - lowest), lowest, (progress - start) / (end - start))
