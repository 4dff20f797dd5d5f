"""The shapes of schedules, for learning rates and momenta alike: pure functions of the place in the run.

`progress` counts epochs or iterations from 0, of `length` in all. A curve that starts from a base value scales with it, so
each parameter group follows the same shape at its own height. Shapes and numbers are MMCV's.
"""
from __future__ import annotations

import math
from numbers import Integral
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from mmcv_need.arguments import is_number, listed
from mmcv_need.errors import ConfigError


def cosine(start: float, end: float, share: float) -> float:
    """Half a cosine wave from `start` (share 0) to `end` (share 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def linear(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


ANNEALING: Dict[str, Callable[[float, float, float], float]] = {'cos': cosine, 'linear': linear}


def annealing(name: str) -> Callable[[float, float, float], float]:
    if name not in ANNEALING:
        raise ConfigError(f"anneal_strategy: expected 'cos' or 'linear', not {name!r}")
    return ANNEALING[name]


class Target:
    """Where an annealing ends: `min_x`, or `min_x_ratio` of the base value."""

    def __init__(self, name: str, value: Optional[float], ratio: Optional[float]):
        if (value is None) == (ratio is None):
            raise ConfigError(f'expected either {name} or {name}_ratio, not {"neither" if value is None else "both"}')
        self.value, self.ratio = value, ratio

    def of(self, base: float) -> float:
        return base * self.ratio if self.value is None else self.value


class Steps:
    """The base value times `gamma` for each step passed.

    Args:
        step: every so many (an int), or where to step (a list, such as [16, 22]).
        gamma: factor of each step.
        lowest: never below this.
    """

    def __init__(self, step: Union[int, Sequence[int]], gamma: float, lowest: Optional[float]):
        if not all(is_number(s, Integral) and s > 0 for s in listed(step)):
            raise ConfigError(f'step must be a positive int or a list of them, not {step!r}')
        self.step = step
        self.gamma = gamma
        self.lowest = lowest

    def at(self, base: float, progress: int) -> float:
        passed = progress // self.step if is_number(self.step) else sum(s <= progress for s in self.step)
        value = base * self.gamma ** passed
        return value if self.lowest is None else max(value, self.lowest)


class Cycles:
    """From the base value up to a peak and down again, `times` times.

    Args:
        target_ratio: peak and end of a cycle, as multiples of the base value; one number p means (p, p / 1e5).
        times: cycles in the run; the iterations that do not divide evenly begin one more.
        ratio_up: the part of a cycle that leads to the peak, in [0, 1).
        anneal_strategy: 'cos' or 'linear'.
        gamma: the peak's distance from the base value shrinks by this factor with each cycle, in (0, 1].
    """

    def __init__(self, target_ratio: Any, times: int, ratio_up: float, anneal_strategy: str, gamma: float):
        targets = listed(target_ratio)
        if not all(is_number(t) for t in targets) or not 1 <= len(targets) <= 2:
            raise ConfigError(f'target_ratio: expected a number or a pair of them, not {target_ratio!r}')
        if times < 1 or not 0 <= ratio_up < 1 or not 0 < gamma <= 1:
            raise ConfigError(f'expected cyclic_times >= 1, 0 <= step_ratio_up < 1 and 0 < gamma <= 1, not {times}, {ratio_up} '
                              f'and {gamma}')
        self.peak, self.end = targets if len(targets) == 2 else (targets[0], targets[0] / 1e5)
        self.times = times
        self.ratio_up = ratio_up
        self.anneal = annealing(anneal_strategy)
        self.gamma = gamma

    def check_fits(self, length: int) -> None:
        if length < self.times:
            raise ConfigError(f'cyclic_times {self.times}: the run has only {length} iterations')

    def at(self, base: float, progress: int, length: int) -> float:
        size = length // self.times
        cycle, place = divmod(progress, size)
        up = int(self.ratio_up * size)
        peak = 1 + self.gamma ** cycle * (self.peak - 1)
        if place < up:
            return self.anneal(base, base * peak, place / up)
        return self.anneal(base * peak, base * self.end, (place - up) / (size - up))


class OneCycle:
    """Once up to a peak and down again, over the whole run.

    Source: Smith and Topin, "Super-Convergence", 2017, in the form of torch's OneCycleLR.

    Args:
        pct_start: the part of the run that leads to the peak, in [0, 1].
        anneal_strategy: 'cos' or 'linear'.
        three_phase: go back to the start as fast as up, and only then on to the end.
    """

    def __init__(self, pct_start: float, anneal_strategy: str, three_phase: bool):
        if not 0 <= pct_start <= 1:
            raise ConfigError(f'pct_start: expected a number from 0 to 1, not {pct_start}')
        self.pct_start = pct_start
        self.anneal = annealing(anneal_strategy)
        self.three_phase = three_phase

    def at(self, progress: int, length: int, start: float, peak: float, end: float) -> float:
        """The value at an iteration, on the way start - peak - end, or start - peak - start - end."""
        ends, levels = [self.pct_start * length - 1, length - 1], [start, peak, end]
        if self.three_phase:
            ends.insert(1, 2 * self.pct_start * length - 2)
            levels.insert(2, start)
        phase = next((i for i, last in enumerate(ends) if progress <= last), len(ends) - 1)
        first = ends[phase - 1] if phase else 0
        share = (progress - first) / (ends[phase] - first) if ends[phase] > first else 1.0
        return self.anneal(levels[phase], levels[phase + 1], share)


def check_by_iterations(by_epoch: bool) -> None:
    if by_epoch:
        raise ConfigError('by_epoch: this curve is one of iterations; leave by_epoch out')


def check_numbers(name: str, value: Any) -> None:
    """Whether a value is a number for all parameter groups, or a list of numbers, one for each."""
    if not all(is_number(item) for item in listed(value)):
        raise ConfigError(f'{name}: expected a number, or a list with one for each parameter group, not {value!r}')


def per_group(name: str, value: Any, groups: int) -> List[float]:
    """The numbers of all parameter groups."""
    values = listed(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ConfigError(f'{name}: expected one number, or one for each of the {groups} parameter groups, not {value!r}')
    return values
