"""Containers that a `.py` config writes out in brackets.

A set becomes a list in the order written (a set of strings has another order in every process).
"""
from __future__ import annotations

import ast
from typing import Any, Dict, List

from mmcv_need.config.places import LineError, Place, kind
from mmcv_need.config.python_evaluator import Evaluator


def list_display(evaluator: Evaluator, node: Any) -> List[Any]:
    """The elements of a list, tuple or set display, `*parts` unpacked, with their places."""
    items: List[Any] = []
    places: List[Place] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            more, more_places = evaluator.placed(evaluator.value(element.value), element)
            items.extend(more)
            places.extend(more_places)
        else:
            items.append(evaluator.value(element))
            places.append(evaluator.place(element))
    return evaluator.note(items, places)


def tuple_display(evaluator: Evaluator, node: ast.Tuple) -> Any:
    items = list_display(evaluator, node)
    return evaluator.note(tuple(items), evaluator.places(items, evaluator.place(node)))


def set_display(evaluator: Evaluator, node: ast.Set) -> Any:
    return evaluator.unique(list_display(evaluator, node), node)


def dict_display(evaluator: Evaluator, node: ast.Dict) -> Any:
    result: Dict[Any, Any] = {}
    places: Dict[Any, Place] = {}
    for key_node, item in zip(node.keys, node.values):
        if key_node is None:
            take_over(evaluator, result, places, evaluator.value(item), item)
        else:
            key = evaluator.key(evaluator.value(key_node), key_node.lineno)
            result[key], places[key] = evaluator.value(item), evaluator.place(key_node)
    return evaluator.note(result, places)


def take_over(evaluator: Evaluator, result: Dict[Any, Any], places: Dict[Any, Place], part: Any, node: Any) -> None:
    """Take over another dict with the places of its entries: where a value was written stays its place."""
    if not isinstance(part, dict):
        raise LineError(node.lineno, f'a dict is needed here, not {kind(part)}.')
    evaluator.spend(len(part), node.lineno)
    result.update(part)
    places.update(evaluator.places(part, evaluator.place(node)))


CONTAINERS = {ast.List: list_display, ast.Tuple: tuple_display, ast.Set: set_display, ast.Dict: dict_display}
