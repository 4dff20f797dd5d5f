"""Operators of a `.py` config: arithmetic, comparisons, and/or/not, `a if b else c`; paid for before they are done."""
from __future__ import annotations

import ast
import operator
from typing import Any

from mmcv_need.config.draft import MAX_INT_BITS
from mmcv_need.config.places import LineError, kind
from mmcv_need.config.python_evaluator import Evaluator, refusal

_ARITHMETIC = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}
_UNARY = {ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Not: operator.not_}
_COMPARISONS = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}


def arithmetic(evaluator: Evaluator, node: Any, left: Any, right: Any) -> Any:
    """`left op right` of numbers, `+` of sequences, `*` of a sequence and a number; `node` has the operator."""
    operate = _ARITHMETIC.get(type(node.op))
    if operate is None:
        raise LineError(node.lineno, f"the operator '{type(node.op).__name__}' is not allowed. Write the result.")
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if operate is operator.pow and type(left) is type(right) is int and right > 0:
            evaluator.scalar(1 << min(left.bit_length() * right, MAX_INT_BITS), node.lineno)  # before it is computed
        return evaluator.scalar(operate(left, right), node.lineno)
    place = evaluator.place(node)
    if operate is operator.mul:
        if isinstance(left, int):
            left, right = right, left
        if isinstance(left, (list, tuple, str)) and isinstance(right, int):
            evaluator.spend(len(left) * max(right, 0), node.lineno)
            if isinstance(left, str):
                return left * right
            return evaluator.note(left * right, evaluator.places(left, place) * right)
    if operate is operator.add and type(left) is type(right) and isinstance(left, (list, tuple, str)):
        evaluator.spend(len(left) + len(right), node.lineno)
        if isinstance(left, str):
            return left + right
        return evaluator.note(left + right, evaluator.places(left, place) + evaluator.places(right, place))
    operation = type(node.op).__name__
    raise LineError(node.lineno, f"'{operation}' of {kind(left)} and {kind(right)} is not possible here.")


def binary(evaluator: Evaluator, node: ast.BinOp) -> Any:
    return arithmetic(evaluator, node, evaluator.value(node.left), evaluator.value(node.right))


def unary(evaluator: Evaluator, node: ast.UnaryOp) -> Any:
    if type(node.op) not in _UNARY:
        raise refusal(node)
    return _UNARY[type(node.op)](evaluator.value(node.operand))


def boolean(evaluator: Evaluator, node: ast.BoolOp) -> Any:
    result = evaluator.value(node.values[0])
    for operand in node.values[1:]:
        if bool(result) is isinstance(node.op, ast.Or):
            break
        result = evaluator.value(operand)
    return result


def conditional(evaluator: Evaluator, node: ast.IfExp) -> Any:
    return evaluator.value(node.body if evaluator.value(node.test) else node.orelse)


def comparison(evaluator: Evaluator, node: ast.Compare) -> bool:
    left = evaluator.value(node.left)
    for operation, right_node in zip(node.ops, node.comparators):
        right = evaluator.value(right_node)
        evaluator.spend(evaluator.weight([left, right]), node.lineno)
        if not _COMPARISONS[type(operation)](left, right):
            return False
        left = right
    return True


OPERATORS = {ast.BinOp: binary, ast.UnaryOp: unary, ast.BoolOp: boolean, ast.IfExp: conditional,
             ast.Compare: comparison}
