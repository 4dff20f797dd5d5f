"""What a `.py` config looks up: names, `_base_.name`, indices and slices."""
from __future__ import annotations

import ast
from typing import Any

from mmcv_need.config.places import LineError
from mmcv_need.config.python_evaluator import Evaluator, name_of


def name(evaluator: Evaluator, node: ast.Name) -> Any:
    reference = evaluator.references.alone(node.id)
    if reference is None:
        return evaluator.named(node, used=True)
    return evaluator.references.value(reference, node.lineno)


def attribute(evaluator: Evaluator, node: ast.Attribute) -> Any:
    """`_base_.a.b`; nothing else has attributes."""
    root: ast.AST = node
    while isinstance(root, (ast.Attribute, ast.Subscript)):
        root = root.value
    if name_of(root) != '_base_':
        raise LineError(node.lineno, f"the attribute '.{node.attr}' is not data. Only _base_.name can be read.")
    return evaluator.references.entry(_owner(evaluator, node), node.attr, node.lineno)


def subscript(evaluator: Evaluator, node: ast.Subscript) -> Any:
    key_node: Any = node.slice
    if type(key_node).__name__ == 'Index':  # Python 3.8 wraps it
        key_node = key_node.value
    owner = _owner(evaluator, node)
    if not isinstance(key_node, ast.Slice):
        key = evaluator.key(evaluator.value(key_node), node.lineno)
        return evaluator.references.entry(owner, key, node.lineno)
    parts = slice(*(part and evaluator.value(part) for part in (key_node.lower, key_node.upper, key_node.step)))
    evaluator.sequence(owner, node)
    result = owner[parts]
    if isinstance(result, str):
        return result
    return evaluator.note(result, evaluator.places(owner, evaluator.place(node))[parts])


def _owner(evaluator: Evaluator, node: Any) -> Any:
    if name_of(node.value) == '_base_':
        return evaluator.references.base_data(node.lineno)
    return evaluator.value(node.value)


LOOKUPS = {ast.Name: name, ast.Attribute: attribute, ast.Subscript: subscript}
