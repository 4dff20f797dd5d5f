"""The `{{ references }}` of a config file: to itself, `{{ fileBasename }}`, or its base, `{{ _base_.model.depth }}`."""
from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Optional, Set

from mmcv_need.config.places import LineError, kind
from mmcv_need.errors import did_you_mean

MAX_INSERTED = 1_000_000  # characters that the references of a file may put into strings
REFERENCE = re.compile(r'\{\{[ \t]*(file[A-Za-z]\w*|_base_[\w.]*)[ \t]*\}\}')
_JSON_REFERENCE = re.compile(r'"(?:[^"\\]|\\.)*"|' + REFERENCE.pattern)


class References:
    """The `{{ references }}` of one file: hidden behind names while its `text` is parsed, then looked up.

    So the text parses whatever a reference's value contains, and a value keeps its type where a reference stands alone.
    """

    def __init__(self, text: str, path: str) -> None:
        full = os.path.abspath(os.path.expanduser(path))
        stem, suffix = os.path.splitext(os.path.basename(full))
        self._predefined = {'fileDirname': os.path.dirname(full), 'fileBasename': stem + suffix,
                            'fileBasenameNoExtension': stem, 'fileExtname': suffix}
        self.base: Optional[Dict[str, Any]] = None
        self.used: Set[str] = set()  # top-level names of the base that were looked up
        self._inserted = 0
        self._names: List[str] = []
        self._mark = 'cfgref_'
        while self._mark in text:
            self._mark += '_'
        self._pattern = re.compile(self._mark + r'(\d+)_')
        if suffix.lower() == '.json':  # a name outside quotes is no JSON: quote it, and leave the quotes that are there
            self.text = _JSON_REFERENCE.sub(lambda found: f'"{self._hidden(found)}"' if found.group(1)
                                            else REFERENCE.sub(self._hidden, found.group()), text)
        else:
            self.text = REFERENCE.sub(self._hidden, text)

    def _hidden(self, found: Any) -> str:
        self._names.append(found.group(1))
        return f'{self._mark}{len(self._names) - 1}_'

    def revealed(self, text: str) -> str:
        """`text` as its author wrote it."""
        return self._pattern.sub(lambda found: '{{ ' + self._names[int(found.group(1))] + ' }}', text)

    def alone(self, text: str) -> Optional[str]:
        """The name of the reference, if `text` is one and nothing else."""
        found = self._pattern.fullmatch(text) if self._names else None
        return self._names[int(found.group(1))] if found else None

    def filled(self, text: str, line: int) -> str:
        """A string with the values of its references in their places."""
        def value(found: Any) -> str:
            name = self._names[int(found.group(1))]
            value = self.value(name, line)
            if isinstance(value, (dict, list, tuple)):
                raise LineError(line, f"'{{{{ {name} }}}}' is {kind(value)}, which no string can hold.")
            self._inserted += len(str(value))
            if self._inserted > MAX_INSERTED:
                raise LineError(line, 'the references insert too much text.')
            return str(value)
        return self._pattern.sub(value, text) if self._names else text

    def value(self, name: str, line: int) -> Any:
        """The value of `{{ name }}`."""
        if not name.startswith('_base_'):
            if name not in self._predefined:
                raise LineError(line, f"'{{{{ {name} }}}}' is not known.{did_you_mean(name, self._predefined)}")
            return self._predefined[name]
        value: Any = self.base_data(line)
        for part in name.split('.')[1:]:
            indexed = isinstance(value, (list, tuple)) and part.isdecimal()
            value = self.entry(value, int(part) if indexed else part, line)
        return value

    def base_data(self, line: int) -> Dict[str, Any]:
        if self.base is None:
            raise LineError(line, "_base_ is read, but this file names no base. Write _base_ = './other.py'.")
        return self.base

    def entry(self, container: Any, key: Any, line: int) -> Any:
        """`container[key]`, or an error that names the nearest key."""
        if container is self.base:
            self.used.add(key)
        try:
            return container[key]
        except KeyError:
            hint = did_you_mean(str(key)[:80], [str(name) for name in container])
            raise LineError(line, f'there is no key {key!r:.80} here.{hint}') from None
        except (TypeError, IndexError, ValueError) as error:
            raise LineError(line, f'[{key!r:.80}] cannot be looked up: {error}.') from None
