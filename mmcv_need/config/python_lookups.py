"""What a `.py` config looks up: names, `_base_.name`, indices and slices."""
from __future__ import annotations

import ast
from typing import Any

from mmcv_need.config.places import LineError, kind
from mmcv_need.config.python_evaluator import Evaluator, name_of


def name(evaluator: Evaluator, node: ast.Name) -> Any:
    reference = evaluator.references.alone(node.id)
    if reference is None:
        return evaluator.named(node, used=True)
    return evaluator.references.value(reference, node.lineno)


def attribute(evaluator: Evaluator, node: ast.Attribute) -> Any:
    """`_base_.a.b`, or an entry of a dict that was taken from there; nothing else has attributes."""
    owner = owner_of(evaluator, node)
    if not isinstance(owner, dict):
        raise LineError(node.lineno, f"the attribute '.{node.attr}' of {kind(owner)} is not data. Only entries of dicts can be "
                                     f'read.')
    return evaluator.references.entry(owner, node.attr, node.lineno)


def key_node_of(node: ast.Subscript) -> Any:
    """What stands between the brackets; Python 3.8 wraps it."""
    key_node: Any = node.slice
    return key_node.value if type(key_node).__name__ == 'Index' else key_node


def subscript(evaluator: Evaluator, node: ast.Subscript) -> Any:
    key_node, owner = key_node_of(node), owner_of(evaluator, node)
    if not isinstance(key_node, ast.Slice):
        key = evaluator.key(evaluator.value(key_node), node.lineno)
        return evaluator.references.entry(owner, key, node.lineno)
    parts = slice(*(part and evaluator.value(part) for part in (key_node.lower, key_node.upper, key_node.step)))
    evaluator.sequence(owner, node)
    result = owner[parts]
    if isinstance(result, str):
        return result
    return evaluator.note(result, evaluator.places(owner, evaluator.place(node))[parts])


def owner_of(evaluator: Evaluator, node: Any) -> Any:
    """The container that an attribute or a subscript is taken from."""
    if name_of(node.value) == '_base_':
        return evaluator.references.base_data(node.lineno)
    return evaluator.value(node.value)


LOOKUPS = {ast.Name: name, ast.Attribute: attribute, ast.Subscript: subscript}
