"""A config as Python text, laid out as MMDetection 2.x dumps are: old and new work directories compare with diff."""
from __future__ import annotations

import keyword
import math
from typing import Any, Dict, List, Optional, Tuple

from mmcv_need.config.places import kind
from mmcv_need.config.references import REFERENCE
from mmcv_need.errors import ConfigError

WIDTH = 79


def pretty_text(data: Dict[str, Any]) -> str:
    """Python text of a config: one `key = value` a line or, beyond 79 columns, a block.

    Raises:
        ConfigError: for a value that text cannot hold, or a key that cannot be a Python name.
    """
    lines = []
    for key, value in data.items():
        if not _is_name(key) or key in ('dict', 'list', 'tuple', 'range', '_base_'):
            raise ConfigError(f'the key {key!r:.80} cannot be a name in a .py config. Rename it, or dump it as .json.')
        try:
            text = _layout(value, 0, len(key) + 3, 0)
        except ConfigError as error:
            raise ConfigError(f'{key}: {error}') from None
        except RecursionError:
            raise ConfigError(f'{key}: nested too deeply (or within itself) to be written.') from None
        lines.append(f'{key} = {text}\n')
    # A string that only looks like a reference must come back as it is: \x7b is a brace.
    return REFERENCE.sub(lambda found: '{\\x7b' + found.group()[2:], ''.join(lines))


def _is_name(key: Any) -> bool:
    """Whether `dict(key=...)` gives this key back: other alphabets are normalised by Python, `__x` is no config key."""
    plain = isinstance(key, str) and key.isascii() and key.isidentifier()
    return plain and not keyword.iskeyword(key) and not key.startswith('__')


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return repr(value)
    for plain in (str, int, float):
        if isinstance(value, plain):
            if plain is float and not math.isfinite(value):
                if value != value:
                    raise ConfigError('nan cannot be written in a config.')
                return '1e999' if value > 0 else '-1e999'  # a literal that Python and JSON read as infinity
            return plain.__repr__(value)  # also of subclasses, such as numpy.float64
    raise ConfigError(f'{kind(value)} cannot be written in a config: {value!r:.80}')


def _parts(value: Any) -> Tuple[str, List[Tuple[str, Any]], str]:
    """Opening, labelled entries and closing of a container."""
    if isinstance(value, dict):
        if all(_is_name(key) for key in value):
            return 'dict(', [(f'{key}=', item) for key, item in value.items()], ')'
        return 'dict({', [(f'{_scalar(key)}: ', item) for key, item in value.items()], '})'
    opening, closing = '[]' if isinstance(value, list) else '()'
    if isinstance(value, tuple) and len(value) == 1:
        closing = ', )'
    return opening, [('', item) for item in value], closing


def _flat(value: Any, room: int) -> Optional[str]:
    """The value on one line, or None as soon as it takes more than `room` columns."""
    if not isinstance(value, (dict, list, tuple)):
        text = _scalar(value)
        return text if len(text) <= room else None
    opening, entries, closing = _parts(value)
    text = opening
    for i, (label, item) in enumerate(entries):
        text += (', ' if i else '') + label
        flat = _flat(item, room - len(text) - len(closing))
        if flat is None:
            return None
        text += flat
    return text + closing if len(text + closing) <= room else None


def _layout(value: Any, indent: int, start: int, tail: int) -> str:
    """The value as text.

    Args:
        indent: columns before the line's first character.
        start: columns taken on the line before the value.
        tail: columns that brackets and a comma take after it.
    """
    flat = _flat(value, WIDTH - start - tail)
    if flat is not None:
        return flat
    if not isinstance(value, (dict, list, tuple)):
        return _scalar(value)
    opening, entries, closing = _parts(value)
    inner = indent + 4
    if not isinstance(value, dict) and not any(isinstance(item, (dict, list, tuple)) for item in value):
        return opening + _filled([_scalar(item) for item in value], inner, tail + len(closing)) + closing
    own_line = not isinstance(value, dict)  # a list of containers closes on a line of its own
    pad = '\n' + ' ' * inner
    text = opening
    for i, (label, item) in enumerate(entries):
        after = 1 if i < len(entries) - 1 else (0 if own_line else tail + len(closing))
        text += pad + label + _layout(item, inner, inner + len(label), after) + (',' if i < len(entries) - 1 else '')
    if own_line:
        return text + (',' if len(closing) > 1 else '') + '\n' + ' ' * indent + closing[-1]
    return text + closing


def _filled(words: List[str], indent: int, tail: int) -> str:
    """Words with commas, as many a line as fit."""
    lines, line = [], ''
    for i, word in enumerate(words):
        last = i == len(words) - 1
        word += '' if last else ','
        if line and indent + len(line) + 1 + len(word) + (tail if last else 0) > WIDTH:
            lines.append(line)
            line = word
        else:
            line = f'{line} {word}' if line else word
    pad = '\n' + ' ' * indent
    return ''.join(pad + line for line in [*lines, line])
