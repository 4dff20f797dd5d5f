"""Literals of a `.py` config: constants, and f-strings of bounded width."""
from __future__ import annotations

import ast
import re
from typing import Any

from mmcv_need.config.places import LineError
from mmcv_need.config.python_evaluator import Evaluator

MAX_FORMAT_WIDTH = 100
_CONVERSIONS = {'s': str, 'r': repr, 'a': ascii}


def constant(evaluator: Evaluator, node: ast.Constant) -> Any:
    if isinstance(node.value, str):
        evaluator.spend(len(node.value), node.lineno)
        return evaluator.references.filled(node.value, node.lineno)
    return evaluator.scalar(node.value, node.lineno)


def joined(evaluator: Evaluator, node: ast.JoinedStr) -> str:
    text = ''.join(evaluator.value(part) for part in node.values)
    evaluator.spend(len(text), node.lineno)
    return text


def formatted(evaluator: Evaluator, node: ast.FormattedValue) -> str:
    value = evaluator.value(node.value)
    evaluator.spend(evaluator.weight(value), node.lineno)
    if node.conversion != -1:
        value = _CONVERSIONS[chr(node.conversion)](value)
    layout = evaluator.value(node.format_spec) if node.format_spec else ''
    if any(len(number) > 3 or int(number) > MAX_FORMAT_WIDTH for number in re.findall(r'\d+', layout)):
        raise LineError(node.lineno, f'a format wider than {MAX_FORMAT_WIDTH} characters is not allowed.')
    return format(value, layout)


STRINGS = {ast.Constant: constant, ast.JoinedStr: joined, ast.FormattedValue: formatted}
