"""Comprehensions of a `.py` config."""
from __future__ import annotations

import ast
from typing import Any, Iterator, List

from mmcv_need.config.python_evaluator import Evaluator


def list_comprehension(evaluator: Evaluator, node: Any) -> Any:
    items = [evaluator.value(node.elt) for _ in _rounds(evaluator, node.generators)]
    return evaluator.note(items, [evaluator.place(node.elt)] * len(items))


def set_comprehension(evaluator: Evaluator, node: ast.SetComp) -> Any:
    return evaluator.unique(list_comprehension(evaluator, node), node)


def dict_comprehension(evaluator: Evaluator, node: ast.DictComp) -> Any:
    result = {evaluator.key(evaluator.value(node.key), node.lineno): evaluator.value(node.value)
              for _ in _rounds(evaluator, node.generators)}
    return evaluator.note(result, dict.fromkeys(result, evaluator.place(node.value)))


def _rounds(evaluator: Evaluator, generators: List[ast.comprehension]) -> Iterator[None]:
    """Bind the loop variables of a comprehension, one combination a round."""
    if not generators:
        yield
        return
    loop = generators[0]
    for item in evaluator.sequence(evaluator.value(loop.iter), loop.iter):
        evaluator.scopes.append({})
        try:
            evaluator.bind(loop.target, item)
            if all(evaluator.value(condition) for condition in loop.ifs):
                yield from _rounds(evaluator, generators[1:])
        finally:
            evaluator.scopes.pop()


COMPREHENSIONS = {
    ast.ListComp: list_comprehension, ast.SetComp: set_comprehension, ast.DictComp: dict_comprehension,
    ast.GeneratorExp: list_comprehension,  # only ever consumed whole, by list() and the like
}
