"""Containers that a `.py` config writes out: displays, and calls of dict, list, tuple and range.

A set becomes a list in the order written (a set of strings has another order in every process); `range` gives a list.
"""
from __future__ import annotations

import ast
from typing import Any, Dict, List, Set

from mmcv_need.config.draft import MAX_WORK
from mmcv_need.config.places import LineError, Place, kind
from mmcv_need.config.python_evaluator import CALLS, Evaluator, name_of


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
            _update(evaluator, result, places, evaluator.value(item), item)
        else:
            key = evaluator.key(evaluator.value(key_node), key_node.lineno)
            result[key], places[key] = evaluator.value(item), evaluator.place(key_node)
    return evaluator.note(result, places)


def _update(evaluator: Evaluator, result: Dict[Any, Any], places: Dict[Any, Place], part: Any, node: Any) -> None:
    """Take over another dict with the places of its entries: where a value was written stays its place."""
    if not isinstance(part, dict):
        raise LineError(node.lineno, f'a dict is needed here, not {kind(part)}.')
    evaluator.spend(len(part), node.lineno)
    result.update(part)
    places.update(evaluator.places(part, evaluator.place(node)))


def call(evaluator: Evaluator, node: ast.Call) -> Any:
    name = name_of(node.func)
    if name not in CALLS:
        called = f"'{name}'" if name else 'this'
        raise LineError(node.lineno, f'{called} cannot be called: a config is data and is not run. Only dict, '
                                     'list, tuple and range can be called. Write the value itself.')
    arguments = [evaluator.value(argument) for argument in node.args]
    if name == 'dict':
        return _called_dict(evaluator, node, arguments)
    if node.keywords or len(arguments) > (3 if name == 'range' else 1):
        raise LineError(node.lineno, f'{name}() is given the wrong arguments.')
    if name == 'range':
        numbers = range(*arguments)
        evaluator.spend(len(numbers[:MAX_WORK + 1]), node.lineno)  # len() of a huge range overflows
        return list(numbers)
    items, places = evaluator.placed(arguments[0] if arguments else [], node)
    return evaluator.note(items if name == 'list' else tuple(items), places)


def _called_dict(evaluator: Evaluator, node: ast.Call, arguments: List[Any]) -> Any:
    result: Dict[Any, Any] = {}
    places: Dict[Any, Place] = {}
    if len(arguments) > 1:
        raise LineError(node.lineno, 'dict() takes at most one value besides its keywords.')
    for argument in arguments:
        pairs = argument if isinstance(argument, dict) else {
            evaluator.key(key, node.lineno): item for key, item in evaluator.sequence(argument, node)}
        _update(evaluator, result, places, pairs, node)
    named: Set[Any] = set()
    for keyword in node.keywords:
        part = evaluator.value(keyword.value)
        keys = [keyword.arg] if keyword.arg is not None else evaluator.sequence(part, keyword.value)
        for key in named.intersection(keys):
            raise LineError(keyword.value.lineno, f"the key {key!r:.80} is given twice in one dict().")
        named.update(keys)
        if keyword.arg is None:
            _update(evaluator, result, places, part, keyword.value)
        else:
            result[keyword.arg], places[keyword.arg] = part, evaluator.place(keyword.value)
    return evaluator.note(result, places)


CONTAINERS = {ast.List: list_display, ast.Tuple: tuple_display, ast.Set: set_display, ast.Dict: dict_display,
              ast.Call: call}
