"""Options of a command line, `name=value`, read without running them.

`model.neck=None`, `lr=1e-3`, `step=8,11`, `img_scale=(300,300)`, `names=[a,b]` mean what they mean in MMDetection 2.x,
with three deliberate differences: `None` is None (`none` stays a string), blanks inside a value are kept, and a
repeated flag adds to the earlier one.
"""
from __future__ import annotations

import argparse
from typing import Any, Dict, List, Sequence

from mmcv_need.config.places import shortened
from mmcv_need.config.references import REFERENCE
from mmcv_need.errors import ConfigError

MAX_BRACKETS = 50
_CLOSING = {'[': ']', '(': ')'}


class DictAction(argparse.Action):
    """`--cfg-options k=v k=v`: options as a dict of dotted names to values; a mistake is a usage error.

    Add it with `nargs='+'`. A repeated flag adds to the earlier one, and the later value of a name counts.
    """

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        try:
            parsed = parse_options([values] if isinstance(values, str) else values)
        except ConfigError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest, None) or {}), **parsed})


def parse_options(options: Sequence[str]) -> Dict[str, Any]:
    """`['a.b=1', 'c=x,y']` -> `{'a.b': 1, 'c': ['x', 'y']}`; the value begins after the first '='.

    Raises:
        ConfigError: for an option without '=' or name, or with brackets that do not match.
    """
    parsed = {}
    for option in options:
        name, equals, text = option.partition('=')
        if not equals or not all(name.strip().split('.')):
            raise ConfigError(f"'{shortened(option)}' is not an option. "
                              'Write name=value, such as data.samples_per_gpu=8.')
        try:
            parsed[name.strip()] = _parse(text.strip())
        except ConfigError as error:
            raise ConfigError(f'{name.strip()}: {error}') from None
    return parsed


def _parse(text: str) -> Any:
    """A whole value. Quotes around all of it are the shell's business and are removed: `"[1,2]"` is a list."""
    if _is_quoted(text):
        inner = text[1:-1]
        return _parse(inner) if inner[:1] in ('[', '(') or (',' in inner and not _is_quoted(inner)) else _scalar(inner)
    elements = _split(text)
    if len(elements) > 1:
        return _elements(elements, text, 0)
    return _element(text, text, 0)


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] in '\'"' and text.find(text[0], 1) == len(text) - 1


def _split(text: str) -> List[str]:
    """Split at the commas outside quotes and brackets, which must match. A quote counts where a value begins."""
    elements, start, expected, quote = [], 0, [], ''
    for i, char in enumerate(text):
        if quote:
            quote = '' if char == quote else quote
        elif char in '\'"' and text[:i].rstrip()[-1:] in ('', ',', '[', '(') and char in text[i + 1:]:
            quote = char
        elif char in _CLOSING:
            expected.append(_CLOSING[char])
        elif char in '])':
            if not expected or expected.pop() != char:
                raise ConfigError(f"the brackets of '{shortened(text)}' do not match.")
        elif char == ',' and not expected:
            elements.append(text[start:i].strip())
            start = i + 1
    if expected:
        raise ConfigError(f"the brackets of '{shortened(text)}' do not match: a '{expected[-1]}' is missing.")
    return [*elements, text[start:].strip()]


def _elements(elements: List[str], whole: str, depth: int) -> List[Any]:
    if elements[-1] == '':  # `[1,2,]`, and `1,` for a list of one
        elements = elements[:-1]
    if '' in elements:
        raise ConfigError(f"'{shortened(whole)}' has an empty element. Write '' for an empty string.")
    return [_element(element, whole, depth) for element in elements]


def _element(text: str, whole: str, depth: int) -> Any:
    if depth > MAX_BRACKETS:
        raise ConfigError(f'more than {MAX_BRACKETS} brackets within brackets.')
    if _is_quoted(text):
        return _scalar(text[1:-1])
    if text[:1] == '{' and not REFERENCE.match(text):
        raise ConfigError(f"'{shortened(text)}' looks like a dict. Write one option for each value: name.key=value.")
    if text[:1] in _CLOSING and text[-1:] == _CLOSING[text[0]]:
        elements = _elements(_split(text[1:-1]), whole, depth + 1)
        return tuple(elements) if text[0] == '(' else elements
    return _scalar(text)


def _scalar(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return {'true': True, 'false': False}.get(text.lower(), None if text == 'None' else text)
