"""Values between two log lines, averaged without waiting for the device."""
from __future__ import annotations

import math
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Tuple

import numpy as np
import torch
from torch import Tensor

Step = Dict[str, Tuple[Any, int]]  # of one iteration: name -> (value, how many samples it stands for)


class LogBuffer:
    """Collects values step by step, and holds what an evaluation gave until it is logged.

    Tensors stay on their device, as they are, until `average`: only a log line waits for them. No more training steps are
    kept than the longest interval between log lines has; losses of a validation epoch are apart, and kept for that epoch.

    Attributes:
        output: names and values that are to be logged as those of an evaluation; empty on ranks other than 0. The last logger
            empties it.
        ready: whether they are complete; who puts them there says so.
    """

    def __init__(self) -> None:
        self.output: Dict[str, Any] = {}
        self.ready = False
        self._history: Dict[str, Deque[Step]] = {'train': deque(maxlen=1), 'val': deque()}
        self._mode = 'train'

    def keep(self, steps: int) -> None:
        """Keep at least so many training steps: whoever averages over them says so first."""
        train = self._history['train']
        self._history['train'] = deque(train, maxlen=max(steps, train.maxlen or 0))

    def begin(self, mode: str) -> None:
        """What comes now belongs to an epoch of 'train' or 'val'."""
        self._mode = mode
        self._history['val'].clear()

    def update(self, values: Mapping[str, Any], count: int = 1) -> None:
        """Add values of the current step, which stand for `count` samples. A name that comes again begins a new step."""
        steps = self._history[self._mode]
        if not steps or any(name in steps[-1] for name in values):
            steps.append({})
        for name, value in values.items():
            steps[-1][name] = (value.detach() if isinstance(value, Tensor) else value, count)

    def average(self, last: int = 0) -> Dict[str, float]:
        """Mean of each name's finite values over the last `last` steps (all if 0), weighted by samples; nan if none is finite.

        A step whose update was left out may have values that are no numbers; they would hide those of its whole interval.
        """
        pairs: Dict[str, List[Tuple[float, int]]] = {}
        for name, rows in self._rows(self._mode, last).items():
            pairs[name] = [(value, count) for _, value, count in rows if math.isfinite(value)]
        return {name: weighted_mean(finite) for name, finite in pairs.items()}

    def clear_output(self) -> None:
        """Nothing is to be logged. Who holds the old values keeps them."""
        self.output = {}
        self.ready = False

    def state(self) -> Dict[str, Tensor]:
        """The training steps as plain data: for each name (n, 3) float64 of step, value and count."""
        return {name: torch.tensor(rows, dtype=torch.float64) for name, rows in self._rows('train').items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state`. Values come back as numbers of the host, where they are averaged anyway: to the same bits."""
        rows = [(int(step), name, value, int(count)) for name, table in state.items() for step, value, count in table.tolist()]
        steps: List[Step] = [{} for _ in range(max((step for step, *_ in rows), default=-1) + 1)]
        for step, name, value, count in rows:
            steps[step][name] = (value, count)
        self.keep(len(steps))
        self._history['train'].clear()
        self._history['train'].extend(steps)

    def _rows(self, mode: str, last: int = 0) -> Dict[str, List[Tuple[int, float, int]]]:
        """(step, value, count) of each name, on the host."""
        entries = [(step, name, value, count) for step, values in enumerate(list(self._history[mode])[-last:])
                   for name, (value, count) in values.items()]
        rows: Dict[str, List[Tuple[int, float, int]]] = {}
        for (step, name, _, count), number in zip(entries, on_host([value for _, _, value, _ in entries])):
            rows.setdefault(name, []).append((step, number, count))
        return rows


def on_host(values: List[Any]) -> List[float]:
    """Numbers of a mixture of numbers and tensors (), by one copy for all tensors of a kind."""
    numbers = list(values)
    kinds: Dict[Any, List[int]] = {}
    for index, value in enumerate(values):
        if isinstance(value, Tensor):
            kinds.setdefault((value.device, value.dtype), []).append(index)
    for indices in kinds.values():
        for index, number in zip(indices, torch.stack([values[i].reshape(()) for i in indices]).tolist()):
            numbers[index] = number
    return [float(number) for number in numbers]


def weighted_mean(pairs: List[Tuple[float, int]]) -> float:
    """Mean of (value, weight), as numpy rounds it; nan without any weight."""
    values, weights = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    total = weights.sum()
    return float((values * weights).sum() / total) if total else math.nan
