"""Alternatives measured in turn, A B A B, so that whatever else the machine does hits all of them alike.

A ratio is taken within each round, between neighbours in time; the figure is the median of the rounds' ratios, and its
spread the distance between their quartiles. On a machine that others use too, only such ratios mean anything.
"""
from __future__ import annotations

import operator
import re
import statistics
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

ROUNDS = 5  # at least; fewer quartiles mean nothing
NOISY = 0.10  # spread of a ratio, as a share of it, from which it is to be doubted
LIMITS = {'<=': operator.le, '>=': operator.ge, '==': operator.eq}


class Measure(NamedTuple):
    """One line of the result.

    Fields:
        section: of run.py, such as 'step'.
        what: what was measured.
        unit: of the values: 'ms', 'images/s', '%', ...
        values: ours, one a round.
        beside: what it is compared with, a peer or a bound; '' if it stands alone.
        peer: values of that, one a round.
        relation: 'speed' (how many times as fast: peer / ours where the unit is a time, else ours / peer) or 'share'
            (ours / peer).
        target: such as '>= 0.75', for the ratio, or for the value where there is none; '' if there is none.
    """
    section: str
    what: str
    unit: str
    values: Sequence[float]
    beside: str = ''
    peer: Sequence[float] = ()
    relation: str = 'speed'
    target: str = ''

    @property
    def ratios(self) -> List[float]:
        """One a round; [] if there is nothing beside it."""
        by_time = self.relation == 'speed' and self.unit in ('s', 'ms')
        return [theirs / ours if by_time else ours / theirs for ours, theirs in zip(self.values, self.peer)]

    @property
    def figure(self) -> float:
        """What the target is about: the median ratio, or the median value."""
        return statistics.median(self.ratios or self.values)

    @property
    def is_noisy(self) -> bool:
        numbers = self.ratios or self.values
        return len(numbers) > 1 and spread(numbers) > NOISY * abs(statistics.median(numbers))

    @property
    def is_met(self) -> Optional[bool]:
        """Whether the target is; None without one."""
        if not self.target:
            return None
        sign, limit = re.fullmatch(r'(<=|>=|==) (\S+)', self.target).groups()
        return bool(LIMITS[sign](self.figure, float(limit)))

    def as_dict(self) -> Dict[str, Any]:
        """All of it for a json, every round included."""
        numbers = self.ratios or self.values
        return {**self._asdict(), 'values': list(self.values), 'peer': list(self.peer), 'ratios': self.ratios,
                'median': statistics.median(self.values), 'figure': self.figure, 'spread': spread(numbers),
                'noisy': self.is_noisy, 'met': self.is_met}


def spread(numbers: Sequence[float]) -> float:
    """Distance between the quartiles; 0 for a single number."""
    if len(numbers) < 2:
        return 0.0
    first, _, third = statistics.quantiles(numbers, n=4, method='inclusive')
    return third - first


def interleave(alternatives: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS, warm_up: int = 1,
               clock: Callable[[], float] = time.perf_counter) -> Dict[str, List[float]]:
    """Seconds of each alternative, one a round, measured in turn.

    Args:
        alternatives: what to call, by name. One that works on a device waits for it before it returns.
        rounds: that count.
        warm_up: rounds before them, which do not.
        clock: gives seconds.
    """
    seconds: Dict[str, List[float]] = {name: [] for name in alternatives}
    for number in range(warm_up + rounds):
        for name, call in alternatives.items():
            start = clock()
            call()
            if number >= warm_up:
                seconds[name].append(clock() - start)
    return seconds


def summed(seconds: Sequence[float], size: int) -> List[float]:
    """Sums of `size` neighbours each: a round of several turns, each of which did a part of its work."""
    return [sum(seconds[start:start + size]) for start in range(0, len(seconds), size)]


def scaled(seconds: Sequence[float], factor: float) -> List[float]:
    """Each times a factor, such as 1000 for milliseconds."""
    return [value * factor for value in seconds]


def rates(seconds: Sequence[float], count: float) -> List[float]:
    """How many a second, of `count` that took so long."""
    return [count / value for value in seconds]
