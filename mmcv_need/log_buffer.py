"""Values between two log lines, averaged without waiting for the device."""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple


class LogBuffer:
    """Collects values step by step; `output` holds what the next log line says.

    Tensors are kept on their device until `average`: only a log line waits for them.
    """

    def __init__(self) -> None:
        self.output: Dict[str, Any] = {}
        self.ready = False
        self._history: Dict[str, List[Tuple[Any, int]]] = {}

    def update(self, values: Mapping[str, Any], count: int = 1) -> None:
        """Add one step's values, which stand for `count` samples."""
        for name, value in values.items():
            self._history.setdefault(name, []).append((value, count))

    def average(self, last: int = 0) -> None:
        """Mean of the last `last` values of each name (all of them if 0), weighted by samples, into `output`."""
        for name, history in self._history.items():
            part = history[-last:]
            total = sum(count for _, count in part)
            self.output[name] = float(sum(value * count for value, count in part)) / total
        self._history.clear()  # what has been said is not kept: it would pile up on the device
        self.ready = True

    def clear_output(self) -> None:
        self.output.clear()
        self.ready = False

    def clear(self) -> None:
        self._history.clear()
        self.clear_output()
