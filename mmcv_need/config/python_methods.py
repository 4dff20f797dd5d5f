"""Methods of lists and dicts that a `.py` config may call, such as `custom_keys.update(...)` or `detector.pop('name')`.

A container that changes, changes under all its names, as in Python, and its entries keep the places where they were written.
"""
from __future__ import annotations

from typing import Any, Dict, List

from mmcv_need.config.python_containers import take_over
from mmcv_need.config.python_evaluator import Evaluator

NOTHING = object()


def _update(evaluator: Evaluator, node: Any, owner: Dict[Any, Any], *parts: Any) -> None:
    for part in parts:
        take_over(evaluator, owner, evaluator.edit(owner, evaluator.place(node)), part, node)


def _pop_key(evaluator: Evaluator, node: Any, owner: Dict[Any, Any], key: Any, default: Any = NOTHING) -> Any:
    if default is not NOTHING and key not in owner:
        return default
    value = evaluator.references.entry(owner, key, node.lineno)
    evaluator.edit(owner, evaluator.place(node)).pop(key)
    del owner[key]
    return value


def _get(evaluator: Evaluator, node: Any, owner: Dict[Any, Any], key: Any, default: Any = None) -> Any:
    return owner.get(key, default)


def _set_default(evaluator: Evaluator, node: Any, owner: Dict[Any, Any], key: Any, default: Any = None) -> Any:
    if key not in owner:
        _update(evaluator, node, owner, {evaluator.key(key, node.lineno): default})
    return owner[key]


def _keys(evaluator: Evaluator, node: Any, owner: Dict[Any, Any]) -> List[Any]:
    return evaluator.sequence(owner, node)


def _values(evaluator: Evaluator, node: Any, owner: Dict[Any, Any]) -> List[Any]:
    keys, places = evaluator.placed(owner, node)
    return evaluator.note([owner[key] for key in keys], places)


def _items(evaluator: Evaluator, node: Any, owner: Dict[Any, Any]) -> List[Any]:
    keys, places = evaluator.placed(owner, node)
    return evaluator.note([(key, owner[key]) for key in keys], places)


def _copy(evaluator: Evaluator, node: Any, owner: Any) -> Any:
    evaluator.spend(len(owner), node.lineno)
    places = evaluator.places(owner, evaluator.place(node))
    return evaluator.note(owner.copy(), places.copy())


def _append(evaluator: Evaluator, node: Any, owner: List[Any], item: Any) -> None:
    _insert(evaluator, node, owner, len(owner), item)


def _extend(evaluator: Evaluator, node: Any, owner: List[Any], more: Any) -> None:
    items, more_places = evaluator.placed(more, node)
    places = evaluator.edit(owner, evaluator.place(node))
    owner.extend(items)
    places.extend(more_places)


def _insert(evaluator: Evaluator, node: Any, owner: List[Any], index: int, item: Any) -> None:
    evaluator.spend(1 + abs(len(owner) - index), node.lineno)
    places = evaluator.edit(owner, evaluator.place(node))
    owner.insert(index, item)
    places.insert(index, evaluator.place(node))


def _pop_item(evaluator: Evaluator, node: Any, owner: List[Any], index: int = -1) -> Any:
    evaluator.spend(len(owner), node.lineno)
    value = evaluator.references.entry(owner, index, node.lineno)
    places = evaluator.edit(owner, evaluator.place(node))
    del owner[index], places[index]
    return value


METHODS = {
    dict: {'update': _update, 'pop': _pop_key, 'get': _get, 'setdefault': _set_default, 'keys': _keys, 'values': _values,
           'items': _items, 'copy': _copy},
    list: {'append': _append, 'extend': _extend, 'insert': _insert, 'pop': _pop_item, 'copy': _copy},
}
