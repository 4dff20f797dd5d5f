"""Exponential moving averages of the weights, by their momentum; weight_averaging.py says what becomes of them."""
from __future__ import annotations

import math
from typing import Optional

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS
from mmcv_need.hooks.weight_averaging import WeightAveragingHook


@HOOKS.register_module()
class EMAHook(WeightAveragingHook):
    """MMCV's average of the parameters: m = min(momentum^interval, (1 + i) / (warm_up + i)) after every iteration i that
    `interval` divides.

    Args:
        momentum, interval, resume_from: see WeightAveragingHook.
        warm_up: the larger, the slower the average follows at first.
    """

    def __init__(self, momentum: float = 0.0002, interval: int = 1, warm_up: int = 100, resume_from: Optional[str] = None):
        super().__init__(momentum, interval, resume_from, buffers=False)
        self.warm_up = warm_up

    def is_due(self, iteration: int) -> bool:
        return iteration % self.interval == 0

    def momentum_at(self, iteration: int) -> float:
        return rising(self.momentum ** self.interval, iteration, self.warm_up)


@HOOKS.register_module()
class LinearMomentumEMAHook(WeightAveragingHook):
    """MMDetection's average, buffers included: m as in EMAHook, after every `interval`-th iteration.

    Args:
        momentum, interval, resume_from: see WeightAveragingHook.
        warm_up: the larger, the slower the average follows at first.
        skip_buffers: average parameters only.
    """

    def __init__(self, momentum: float = 0.0002, warm_up: int = 100, interval: int = 1, skip_buffers: bool = False,
                 resume_from: Optional[str] = None):
        super().__init__(momentum, interval, resume_from, not skip_buffers)
        self.warm_up = warm_up

    def momentum_at(self, iteration: int) -> float:
        return rising(self.momentum ** self.interval, iteration, self.warm_up)


@HOOKS.register_module()
class ExpMomentumEMAHook(WeightAveragingHook):
    """MMDetection's average, buffers included: m = momentum + (1 - momentum) * exp(-(1 + i) / total_iter), after every
    `interval`-th iteration.

    Args:
        momentum, interval, resume_from: see WeightAveragingHook.
        total_iter: iterations in which 1 - m gets to 63 % of its way; at first the average is nearly the weights.
        skip_buffers: average parameters only.
    """

    def __init__(self, momentum: float = 0.0002, total_iter: int = 2000, interval: int = 1, skip_buffers: bool = False,
                 resume_from: Optional[str] = None):
        super().__init__(momentum, interval, resume_from, not skip_buffers)
        if total_iter < 1:
            raise ConfigError(f'total_iter: expected 1 or more, not {total_iter}')
        self.total_iter = total_iter

    def momentum_at(self, iteration: int) -> float:
        return self.momentum + (1 - self.momentum) * math.exp(-(1 + iteration) / self.total_iter)


def rising(momentum: float, iteration: int, warm_up: int) -> float:
    """A momentum that rises from 1 / warm_up."""
    return min(momentum, (1 + iteration) / max(warm_up + iteration, 1))
