"""A `.py` config to plain data, without running it.

The text is parsed with `ast` and only data is computed: literals, names assigned earlier, calls of a few functions on data
and of the methods of lists and dicts, arithmetic, comparisons, comprehensions, f-strings. Whatever a file contains, the
outcome is data or one error, in bounded time and memory: work is paid before it is done, and `[0] * 10**9` is never
allocated.

One departure from Python beside those of python_containers and python_calls: `x += ...` makes a new value (other names for
the old one keep it).
"""
from __future__ import annotations

import ast
import warnings
from typing import Any, Dict, List

from mmcv_need.config.draft import LoadBases
from mmcv_need.config.places import LineError, Place
from mmcv_need.config.python_calls import CALLS_OF_DATA
from mmcv_need.config.python_changes import change, remove
from mmcv_need.config.python_comprehensions import COMPREHENSIONS
from mmcv_need.config.python_containers import CONTAINERS
from mmcv_need.config.python_evaluator import Evaluator, name_of, refusal
from mmcv_need.config.python_lookups import LOOKUPS
from mmcv_need.config.python_operators import OPERATORS, arithmetic
from mmcv_need.config.python_strings import STRINGS
from mmcv_need.config.references import References

MAX_PYTHON_TEXT = 1 << 17  # characters; up to Python 3.10, ast.parse crashes on chains `1+1+...` of 100,000 links


def python_evaluator(path: str, references: References, load_bases: LoadBases) -> Evaluator:
    """An evaluator of all expressions that a config may hold."""
    return Evaluator(path, references, load_bases,
                     {**STRINGS, **LOOKUPS, **CONTAINERS, **CALLS_OF_DATA, **OPERATORS, **COMPREHENSIONS})


def read_python(evaluator: Evaluator, text: str) -> Dict[str, Any]:
    """Execute the assignments of a config; returns the names that they set, `__private` ones left out.

    Raises:
        LineError: for whatever is not an assignment of data.
    """
    statements = _statements(text)
    names, places = evaluator.scopes[0], {}
    bases = [node for node in statements if isinstance(node, ast.Assign) and name_of(node.targets[0]) == '_base_']
    for node in bases:  # first, wherever it stands: any line may refer to it
        if len(bases) > 1 or len(node.targets) > 1:
            raise LineError(node.lineno, '_base_ is assigned more than once. Write one list of files.')
        evaluator.set_base(evaluator.value(node.value), node.lineno)
    for node in statements:
        if node not in bases and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            for name in _executed(evaluator, node):
                places[name] = Place(evaluator.path, node.lineno)
    return evaluator.note({name: names[name] for name in places if name in names and not name.startswith('__')}, places)


def _statements(text: str) -> List[ast.stmt]:
    if len(text) > MAX_PYTHON_TEXT:
        raise LineError(0, f'longer than {MAX_PYTHON_TEXT} characters. Split it into _base_ files.')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # '\d' in a string is Python's business, not an error of the config
        try:
            return ast.parse(text).body
        except (SyntaxError, ValueError) as error:
            problem = getattr(error, 'msg', None) or str(error)
            raise LineError(getattr(error, 'lineno', None) or 1, f'not Python: {problem}.') from None


def _executed(evaluator: Evaluator, node: ast.stmt) -> List[str]:
    """Execute a statement; returns the names that it sets."""
    if isinstance(node, ast.AugAssign):
        return _assigned(evaluator, node.target, arithmetic(evaluator, node, _current(evaluator, node.target),
                                                            evaluator.value(node.value)))
    if isinstance(node, ast.Delete):
        for target in node.targets:
            _deleted(evaluator, target)
        return []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        evaluator.value(node.value)
        return []
    if not isinstance(node, ast.Assign):
        raise refusal(node)
    value = evaluator.value(node.value)
    return [name for target in node.targets for name in _assigned(evaluator, target, value)]


def _current(evaluator: Evaluator, target: ast.expr) -> Any:
    return evaluator.named(target) if isinstance(target, ast.Name) else evaluator.value(target)


def _assigned(evaluator: Evaluator, target: ast.expr, value: Any) -> List[str]:
    if not isinstance(target, (ast.Attribute, ast.Subscript)):
        return evaluator.bind(target, value)
    change(evaluator, target, value)
    return []


def _deleted(evaluator: Evaluator, target: ast.expr) -> None:
    if isinstance(target, (ast.Attribute, ast.Subscript)):
        remove(evaluator, target)
    elif isinstance(target, ast.Name):
        evaluator.named(target)  # says if there is none
        del evaluator.scopes[0][target.id]
    else:  # `del (a, b)`
        for part in target.elts:
            _deleted(evaluator, part)
