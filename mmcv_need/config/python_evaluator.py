"""Expressions of a `.py` config: computed here, one syntax node at a time, and never handed to Python to run.

The functions that compute the single kinds of nodes stand in python_strings, _lookups, _containers, _calls, _operators
and _comprehensions; each takes the evaluator and the node, and asks the evaluator for the parts.
"""
from __future__ import annotations

import ast
from typing import Any, Callable, Dict, List, Mapping, Tuple

from mmcv_need.config.draft import MAX_DEPTH, Draft, LoadBases
from mmcv_need.config.places import LineError, Place, kind
from mmcv_need.config.references import References
from mmcv_need.errors import did_you_mean

CALLS = ('dict', 'list', 'tuple', 'range')
_REMEDIES = {
    'Import': "To load a module, write custom_imports = dict(imports=['its.name']).",
    'ImportFrom': "To load a module, write custom_imports = dict(imports=['its.name']).",
    'If': 'Write `name = a if condition else b`.',
    'For': 'Write `name = [... for x in ...]`.',
}


class Evaluator(Draft):
    """A draft whose values come from Python expressions.

    Args:
        path, references, load_bases: see Draft.
        expressions: the function that computes each type of node, `f(evaluator, node)`.
    """

    def __init__(self, path: str, references: References, load_bases: LoadBases,
                 expressions: Mapping[type, Callable[[Evaluator, Any], Any]]) -> None:
        super().__init__(path, references, load_bases)
        self.scopes: List[Dict[str, Any]] = [{}]  # the file's names, then one scope a comprehension
        self._expressions = expressions
        self._depth = 0

    def string(self, text: str, line: int) -> str:
        return text  # references were resolved where the string was written

    def place(self, node: Any) -> Place:
        return Place(self.path, node.lineno)

    def value(self, node: ast.AST) -> Any:
        """Compute an expression."""
        line = getattr(node, 'lineno', 1)  # Python 3.8 has slices without one
        self.spend(1, line)
        compute = self._expressions.get(type(node))
        if compute is None:
            raise refusal(node)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise LineError(line, f'an expression is nested too deeply (more than {MAX_DEPTH} levels).')
        try:
            return compute(self, node)
        except LineError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            raise LineError(line, f'this cannot be computed: {error}.') from None
        finally:
            self._depth -= 1

    def named(self, node: ast.Name, used: bool = False) -> Any:
        """The value of a name set earlier; `used` reports it as one that another value needs."""
        for scope in reversed(self.scopes):
            if node.id in scope:
                if used and scope is self.scopes[0]:
                    self.references.used.add(node.id)
                return scope[node.id]
        if node.id in (self.references.base or {}):
            raise LineError(node.lineno, f"'{node.id}' belongs to the base file. Write _base_.{node.id}")
        raise LineError(node.lineno, f"the name '{node.id}' is not set above.{did_you_mean(node.id, self.scopes[0])}")

    def bind(self, target: ast.expr, value: Any) -> List[str]:
        """Set the name or names of a target; returns them."""
        if isinstance(target, ast.Name):
            if target.id in (*CALLS, '_base_'):
                raise LineError(target.lineno, f"'{target.id}' cannot be used as a name here. Choose another.")
            self.scopes[-1][target.id] = value
            return [target.id]
        if not isinstance(target, (ast.Tuple, ast.List)) or any(isinstance(t, ast.Starred) for t in target.elts):
            raise LineError(target.lineno, 'only plain names can be assigned. Write the value where the dict is made.')
        items = self.sequence(value, target)
        if len(items) != len(target.elts):
            raise LineError(target.lineno, f'{len(target.elts)} names cannot take {len(items)} values.')
        return [name for part, item in zip(target.elts, items) for name in self.bind(part, item)]

    def sequence(self, value: Any, node: Any) -> List[Any]:
        """The elements of a value (of a dict, its keys), paid for."""
        if not isinstance(value, (list, tuple, str, dict)):
            raise LineError(node.lineno, f'a list is needed here, not {kind(value)}.')
        self.spend(len(value), node.lineno)
        return list(value)

    def placed(self, value: Any, node: Any) -> Tuple[List[Any], List[Place]]:
        """The elements of a value (of a dict, its keys) and their places."""
        items = self.sequence(value, node)
        places = self.places(value, self.place(node))
        return items, [places[key] for key in value] if isinstance(value, dict) else list(places)

    def unique(self, items: List[Any], node: Any) -> List[Any]:
        """What a set of the items holds, in the order written."""
        self.spend(self.weight(items), node.lineno)  # hashing looks into tuples
        return list(dict.fromkeys(items))


def refusal(node: ast.AST) -> LineError:
    """The error for syntax that a config may not hold."""
    syntax = type(node).__name__
    remedy = _REMEDIES.get(syntax, 'Write `name = value`, with plain values.')
    if isinstance(node, ast.ImportFrom) and any(name.name == 'read_base' for name in node.names):
        remedy = ("This is one of MMDetection 3's configs that are Python programs (`with read_base():`). Use the one of the "
                  "same name that says _base_ = [...], or what `Config.dump` of MMEngine writes of it.")
    problem = f"'{syntax}' is not allowed: a config is data and is not run. {remedy}"
    return LineError(getattr(node, 'lineno', 1), problem)


def name_of(node: ast.AST) -> str:
    """The name that a node is, or '' for any other node."""
    return node.id if isinstance(node, ast.Name) else ''
