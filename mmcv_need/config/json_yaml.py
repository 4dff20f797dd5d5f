"""JSON and YAML text to data with line numbers, and data to text."""
from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, Iterator, List, Tuple

from mmcv_need.config.places import LineError
from mmcv_need.config.references import REFERENCE
from mmcv_need.errors import ConfigError

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')

Note = Callable[[Any, Any], Any]  # (container, line of each entry: a list in step with it, or a dict)


def parse_json(text: str, note: Note) -> Any:
    """JSON data; `note` is told the lines of each container.

    Raises:
        LineError: for text that is not JSON, or a key given twice.
    """
    def once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            names = [key for key, _ in pairs]
            raise LineError(0, f"the key '{next(key for key in names if names.count(key) > 1)}' is given twice.")
        return dict(pairs)

    try:
        data = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise LineError(error.lineno, f'not JSON: {error.msg}.') from None
    except LineError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise LineError(0, f'not JSON: {error}.') from None
    _note_json(data, _json_lines(text), note)
    return data


def _json_lines(text: str) -> Iterator[int]:
    """The line of each token of JSON text."""
    line, end = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line, end = line + text.count('\n', end, token.start()), token.start()
        yield line


def _note_json(value: Any, lines: Iterator[int], note: Note) -> int:
    """Follow data along the tokens it was made of; returns the line of its first token."""
    first = next(lines)  # the opening bracket, or all of a scalar
    if not isinstance(value, (dict, list)):
        return first
    entries: Any = {} if isinstance(value, dict) else []
    for key in value:
        if isinstance(value, dict):
            entries[key] = next(lines)
            next(lines)  # the colon
            _note_json(value[key], lines, note)
        else:
            entries.append(_note_json(key, lines, note))
        next(lines)  # a comma, or the closing bracket
    if not value:
        next(lines)
    note(value, entries)
    return first


def parse_yaml(text: str, note: Note) -> Any:
    """YAML data (safe tags only); `note` is told the lines of each container.

    Raises:
        LineError: for text that is not YAML, for a merge key (`<<`), or when PyYAML is missing.
    """
    yaml = _yaml()

    class Loader(yaml.SafeLoader):
        def flatten_mapping(self, node: Any) -> None:
            for key, _ in node.value:  # lists of merges of merges double in size with every line
                if key.tag == 'tag:yaml.org,2002:merge':
                    raise LineError(key.start_mark.line + 1, "the YAML merge key '<<' is not supported. Use _base_.")

        def noted(self, node: Any) -> Iterator[Any]:
            """A container first, its entries later, as PyYAML builds them."""
            mapping = isinstance(node, yaml.MappingNode)
            data: Any = {} if mapping else []
            yield data
            if mapping:
                data.update(self.construct_mapping(node, deep=True))
                places = {self.construct_object(key, deep=True): key.start_mark.line + 1 for key, _ in node.value}
                note(data, {key: places[key] for key in data})
            else:
                data.extend(self.construct_sequence(node, deep=True))
                note(data, [item.start_mark.line + 1 for item in node.value])

    Loader.add_constructor('tag:yaml.org,2002:map', Loader.noted)
    Loader.add_constructor('tag:yaml.org,2002:seq', Loader.noted)
    try:
        return yaml.load(text, Loader)  # a SafeLoader with line numbers
    except LineError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        problem = getattr(error, 'problem', None) or error
        raise LineError(mark.line + 1 if mark else 0, f'not YAML: {problem}.') from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # such as the date 2020-99-99
        raise LineError(0, f'not YAML: {error}.') from None


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise LineError(0, 'YAML configs need PyYAML. Run: pip install pyyaml') from None
    return yaml


def dump_json(data: Dict[str, Any]) -> str:
    """JSON text; tuples become lists. ConfigError for inf and for keys that are not strings."""
    _check_keys(data)
    try:
        text = json.dumps(data, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'the config cannot be written as JSON: {error}. Dump it as .py.') from None
    return REFERENCE.sub(lambda found: '{\\u007b' + found.group()[2:], text) + '\n'


def _check_keys(value: Any) -> None:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ConfigError(f'the key {key!r} is not a string, and JSON has no other keys. Dump as .py.')
    if isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            _check_keys(item)


def dump_yaml(data: Dict[str, Any]) -> str:
    """YAML text; tuples become lists."""
    def listed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: listed(item) for key, item in value.items()}
        return [listed(item) for item in value] if isinstance(value, (list, tuple)) else value

    try:
        yaml = _yaml()
    except LineError as error:
        raise ConfigError(str(error)) from None
    try:
        text = yaml.safe_dump(listed(data), sort_keys=False)
    except yaml.YAMLError as error:
        raise ConfigError(f"the config cannot be written as YAML: {' '.join(str(error).split())}.") from None
    if REFERENCE.search(text):  # unlike the other languages, YAML cannot always escape a brace
        raise ConfigError(f"the text '{REFERENCE.search(text).group()}' would be replaced when read. Dump it as .py.")
    return text
