"""Python's functions that a `.py` config may call besides those that make containers: data in, data out, paid for before."""
from __future__ import annotations

from typing import Any, List

from mmcv_need.config.places import LineError, kind
from mmcv_need.config.python_evaluator import Evaluator

MAX_DIGITS = 20  # of round(): more are computed as a power of ten


def _length(evaluator: Evaluator, node: Any, value: Any) -> int:
    return len(evaluator.sequence(value, node))


def _enumerated(evaluator: Evaluator, node: Any, value: Any, start: int = 0) -> List[Any]:
    items, places = evaluator.placed(value, node)
    return evaluator.note([(start + i, item) for i, item in enumerate(items)], places)


def _zipped(evaluator: Evaluator, node: Any, *values: Any) -> List[Any]:
    return list(zip(*(evaluator.sequence(value, node) for value in values)))


def _ordered(evaluator: Evaluator, node: Any, value: Any) -> List[Any]:
    items = evaluator.sequence(value, node)
    evaluator.spend(evaluator.weight(items) * len(items).bit_length(), node.lineno)  # comparing looks into tuples
    return sorted(items)


def _smallest(evaluator: Evaluator, node: Any, *values: Any) -> Any:
    return min(_compared(evaluator, node, values))


def _largest(evaluator: Evaluator, node: Any, *values: Any) -> Any:
    return max(_compared(evaluator, node, values))


def _compared(evaluator: Evaluator, node: Any, values: Any) -> List[Any]:
    items = evaluator.sequence(values[0] if len(values) == 1 else list(values), node)
    evaluator.spend(evaluator.weight(items), node.lineno)
    return items


def _total(evaluator: Evaluator, node: Any, value: Any, start: Any = 0) -> Any:
    items = [start, *evaluator.sequence(value, node)]
    for item in items:
        if not isinstance(item, (int, float)):
            raise LineError(node.lineno, f'sum() adds numbers, and there is {kind(item)}.')
    return evaluator.scalar(sum(items), node.lineno)


def _rounded(evaluator: Evaluator, node: Any, value: Any, digits: Any = None) -> Any:
    if digits is not None and not abs(digits) <= MAX_DIGITS:
        raise LineError(node.lineno, f'round() to {digits!r:.80} digits: at most {MAX_DIGITS} are possible here.')
    return evaluator.scalar(round(value, digits), node.lineno)


def _text(evaluator: Evaluator, node: Any, value: Any = '') -> str:
    evaluator.spend(evaluator.weight(value), node.lineno)
    return str(value)


def _int(evaluator: Evaluator, node: Any, value: Any = 0) -> int:
    return evaluator.scalar(int(value), node.lineno)


def _float(evaluator: Evaluator, node: Any, value: Any = 0.0) -> float:
    return evaluator.scalar(float(value), node.lineno)


def _bool(evaluator: Evaluator, node: Any, value: Any = False) -> bool:
    return bool(value)


def _size_of(evaluator: Evaluator, node: Any, value: Any) -> Any:
    return evaluator.scalar(abs(value), node.lineno)


FUNCTIONS = {'len': _length, 'enumerate': _enumerated, 'zip': _zipped, 'sorted': _ordered, 'min': _smallest, 'max': _largest,
             'sum': _total, 'round': _rounded, 'abs': _size_of, 'int': _int, 'float': _float, 'str': _text, 'bool': _bool}
