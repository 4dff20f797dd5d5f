"""Calls of a `.py` config: of a few of Python's functions on data, and of the methods of lists and dicts. No other is called.

What Python computes step by step while a loop asks for it is a list at once: `range`, `enumerate`, `zip`, `keys` and the like.
"""
from __future__ import annotations

import ast
from typing import Any, Callable, Dict, List, Set

from mmcv_need.config.draft import MAX_WORK
from mmcv_need.config.places import LineError, Place
from mmcv_need.config.python_containers import take_over
from mmcv_need.config.python_evaluator import Evaluator, name_of
from mmcv_need.config.python_functions import FUNCTIONS
from mmcv_need.config.python_lookups import owner_of
from mmcv_need.config.python_methods import METHODS


def call(evaluator: Evaluator, node: ast.Call) -> Any:
    if isinstance(node.func, ast.Attribute):
        return _method(evaluator, node, node.func)
    name = name_of(node.func)
    arguments = [evaluator.value(argument) for argument in node.args] if name in MAKERS or name in FUNCTIONS else []
    if name in MAKERS and not any(name in scope for scope in evaluator.scopes):
        return MAKERS[name](evaluator, node, arguments)
    if name in FUNCTIONS and not any(name in scope for scope in evaluator.scopes):
        _no_keywords(node, name)
        return FUNCTIONS[name](evaluator, node, *arguments)
    called = f"'{name}'" if name else 'this'
    raise LineError(node.lineno, f'{called} cannot be called: a config is data and is not run. Only '
                                 f"{', '.join([*MAKERS, *FUNCTIONS])} can be called. Write the value itself.")


def _method(evaluator: Evaluator, node: ast.Call, function: ast.Attribute) -> Any:
    owner = owner_of(evaluator, function)
    methods: Dict[str, Callable] = METHODS.get(type(owner), {})
    if function.attr not in methods:
        can = f"Only {', '.join(methods)} can be called here" if methods else 'Only methods of lists and dicts can be called'
        raise LineError(node.lineno, f"'.{function.attr}' cannot be called: a config is data and is not run. {can}.")
    arguments = [evaluator.value(argument) for argument in node.args]
    if node.keywords and function.attr == 'update':
        arguments.append(_called_dict(evaluator, ast.copy_location(ast.Call(node.func, [], node.keywords), node), []))
    else:
        _no_keywords(node, f'.{function.attr}')
    return methods[function.attr](evaluator, node, owner, *arguments)


def _no_keywords(node: ast.Call, name: str) -> None:
    if node.keywords:
        raise LineError(node.lineno, f'{name}() takes no arguments by name here.')


def _called_dict(evaluator: Evaluator, node: ast.Call, arguments: List[Any]) -> Any:
    result: Dict[Any, Any] = {}
    places: Dict[Any, Place] = {}
    if len(arguments) > 1:
        raise LineError(node.lineno, 'dict() takes at most one value besides its keywords.')
    for argument in arguments:
        pairs = argument if isinstance(argument, dict) else {
            evaluator.key(key, node.lineno): item for key, item in evaluator.sequence(argument, node)}
        take_over(evaluator, result, places, pairs, node)
    named: Set[Any] = set()
    for keyword in node.keywords:
        part = evaluator.value(keyword.value)
        keys = [keyword.arg] if keyword.arg is not None else evaluator.sequence(part, keyword.value)
        for key in named.intersection(keys):
            raise LineError(keyword.value.lineno, f"the key {key!r:.80} is given twice in one dict().")
        named.update(keys)
        if keyword.arg is None:
            take_over(evaluator, result, places, part, keyword.value)
        else:
            result[keyword.arg], places[keyword.arg] = part, evaluator.place(keyword.value)
    return evaluator.note(result, places)


def _called_sequence(evaluator: Evaluator, node: ast.Call, arguments: List[Any]) -> Any:
    name = name_of(node.func)
    if node.keywords or len(arguments) > 1:
        raise LineError(node.lineno, f'{name}() is given the wrong arguments.')
    items, places = evaluator.placed(arguments[0] if arguments else [], node)
    return evaluator.note(items if name == 'list' else tuple(items), places)


def _called_range(evaluator: Evaluator, node: ast.Call, arguments: List[Any]) -> List[int]:
    if node.keywords or not 1 <= len(arguments) <= 3:
        raise LineError(node.lineno, 'range() is given the wrong arguments.')
    numbers = range(*arguments)
    evaluator.spend(len(numbers[:MAX_WORK + 1]), node.lineno)  # len() of a huge range overflows
    return list(numbers)


MAKERS = {'dict': _called_dict, 'list': _called_sequence, 'tuple': _called_sequence, 'range': _called_range}
CALLS_OF_DATA = {ast.Call: call}
