"""The text of one config file, in Python, JSON or YAML, to plain data and the places where it was written."""
from __future__ import annotations

import os
from typing import Any, Dict, NamedTuple, Optional, Set, Tuple

from mmcv_need.config.draft import MAX_DEPTH, Draft, LoadBases
from mmcv_need.config.json_yaml import parse_json, parse_yaml
from mmcv_need.config.places import LineError, Place, Trace, entries, shown
from mmcv_need.config.python_reader import python_evaluator, read_python
from mmcv_need.config.references import References
from mmcv_need.errors import ConfigError

SUFFIXES = ('.py', '.json', '.yaml', '.yml')


class Source(NamedTuple):
    """One file, read: its data, where each entry stands, the top-level names that it uses, and, if it changed entries of
    its base (`_base_.x = 1`), what became of that."""

    data: Dict[str, Any]
    trace: Trace
    used: Set[str]
    base: Optional[Tuple[Dict[str, Any], Trace]] = None


def read_text(text: str, path: str, load_bases: LoadBases) -> Source:
    """Read one config; the suffix of `path` chooses the language, `load_bases` is asked for the merged `_base_` data.

    The values are plain dict, list, tuple, str, int, float, bool and None.

    Raises:
        ConfigError: for whatever is wrong with the text.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{shown(path)}: a config ends in .py, .json, .yaml or .yml, not in '{suffix}'.")
    references = References(text, path)
    try:
        if suffix == '.py':
            draft: Draft = python_evaluator(path, references, load_bases)
            read = read_python(draft, references.text)
        else:
            draft = Draft(path, references, load_bases)
            read = _read_data(draft, references.text)
        data, trace = draft.copied(read, Place(path, 1))
        base = draft.copied(references.base, Place(path, 1)) if draft.edited and references.base is not None else None
    except LineError as error:
        place = str(Place(path, error.line)) if error.line else shown(path)
        problem = references.revealed(' '.join(str(error).split()))
        raise ConfigError(f'{place}: {problem}') from None
    except (RecursionError, MemoryError):
        raise ConfigError(f'{shown(path)}: nested too deeply (more than {MAX_DEPTH} levels).') from None
    return Source(data, trace, references.used, base)


def _read_data(draft: Draft, text: str) -> Dict[str, Any]:
    """The top-level data of JSON or YAML text, still with references, base file loaded."""
    def note(container: Any, lines: Any) -> None:
        places = {key: Place(draft.path, line) for key, line in entries(lines)}
        draft.note(container, places if isinstance(lines, dict) else list(places.values()))

    data = (parse_json if draft.path.lower().endswith('.json') else parse_yaml)(text, note)
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise LineError(1, 'a config is a mapping of names to values.')
    if '_base_' in data:
        place = draft.places(data, Place(draft.path, 1))['_base_']
        names, _ = draft.copied(data.pop('_base_'), place)
        draft.set_base(names, place.line)
    return data
