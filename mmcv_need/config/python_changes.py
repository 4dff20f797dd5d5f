"""Statements of a `.py` config that change what is there: `a['b'] = 1`, `_base_.model.depth = 19`, `del _base_.model`."""
from __future__ import annotations

import ast
from typing import Any, Tuple, Union

from mmcv_need.config.places import LineError, kind
from mmcv_need.config.python_evaluator import Evaluator
from mmcv_need.config.python_lookups import key_node_of, owner_of

Entry = Union[ast.Attribute, ast.Subscript]  # what names an entry of a container


def change(evaluator: Evaluator, node: Entry, value: Any) -> None:
    """Give an entry of a dict or list a value."""
    owner, key = _reached(evaluator, node)
    places = evaluator.edit(owner, evaluator.place(node))
    owner[key], places[key] = value, evaluator.place(node)


def remove(evaluator: Evaluator, node: Entry) -> None:
    """Take an entry out of a dict or list."""
    owner, key = _reached(evaluator, node)
    evaluator.references.entry(owner, key, node.lineno)  # says if there is none
    evaluator.spend(len(owner), node.lineno)
    places = evaluator.edit(owner, evaluator.place(node))
    del owner[key], places[key]


def _reached(evaluator: Evaluator, node: Entry) -> Tuple[Any, Any]:
    """The container and the key or index, of which a list must have one."""
    owner = owner_of(evaluator, node)
    if isinstance(node, ast.Attribute):
        key, fits = node.attr, isinstance(owner, dict)
    else:
        key_node = key_node_of(node)
        if isinstance(key_node, ast.Slice):
            raise LineError(node.lineno, 'a part of a list cannot be changed at once. Write the new list.')
        key = evaluator.key(evaluator.value(key_node), node.lineno)
        fits = isinstance(owner, dict) or (isinstance(owner, list) and isinstance(key, int))
    if not fits:
        raise LineError(node.lineno, f'{kind(owner)} has no entry {key!r:.80} that could be changed.')
    if isinstance(owner, list):
        evaluator.references.entry(owner, key, node.lineno)
    return owner, key
