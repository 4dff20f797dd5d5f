"""The data of one config file while it is read, in bounded time and memory."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from mmcv_need.config.places import LineError, Place, Trace, entries, kind
from mmcv_need.config.references import References

MAX_WORK = 1_000_000  # steps plus elements and characters made, for one file
MAX_SIZE = 4_000_000  # of the finished data, shared parts counted each time: characters, and NODE_COST a value
NODE_COST = 20
MAX_DEPTH = 60  # of data and of expressions; at four Python frames a level, well below the recursion limit
MAX_INT_BITS = 256

LoadBases = Callable[[List[str], Place], Tuple[Dict[str, Any], Trace]]  # (names, where they stand) -> merged data


class Draft:
    """One file being read: what its data may still cost, where the data stands, the base below it. Raises LineError.

    Args:
        path: the file.
        references: those of its text.
        load_bases: asked for the merged data of the `_base_` files.
    """

    def __init__(self, path: str, references: References, load_bases: LoadBases) -> None:
        self.path = path
        self.references = references
        self._load_bases = load_bases
        self._work = self._size = 0
        self._notes: Dict[int, Tuple[Any, Any]] = {}  # id -> (container, its places); holding it keeps the id unique
        self.edited = False  # whether the file changed a container after it was made, of itself or of its base

    def spend(self, amount: int, line: int) -> None:
        """Pay for work about to be done."""
        self._work += amount
        if self._work > MAX_WORK:
            raise LineError(line, f'the data grows too large (over {MAX_WORK} elements or steps). Write less.')

    def weight(self, value: Any) -> int:
        """What an operation on all of the value costs, shared parts counted each time; stops when it is too much."""
        total, waiting = 0, [value]
        while waiting and total <= MAX_WORK:
            item = waiting.pop()
            total += 1 + (len(item) if isinstance(item, (str, dict, list, tuple)) else 0)
            if isinstance(item, (dict, list, tuple)) and total <= MAX_WORK:
                waiting.extend(item)
                waiting.extend(item.values() if isinstance(item, dict) else ())
        return total

    def note(self, container: Any, places: Any) -> Any:
        """Remember the places of a container's entries (a list in step with it, or a dict); returns the container."""
        self._notes[id(container)] = (container, places)
        return container

    def places(self, container: Any, default: Place) -> Any:
        """The noted places of a container's entries, or `default` for each."""
        if id(container) in self._notes:
            return self._notes[id(container)][1]
        return dict.fromkeys(container, default) if isinstance(container, dict) else [default] * len(container)

    def edit(self, container: Any, default: Place) -> Any:
        """The noted places of a container whose entries are about to change; the caller changes both."""
        self.edited = True
        places = self.places(container, default)
        self.note(container, places)
        return places

    def set_base(self, names: Any, line: int) -> None:
        """Load what `_base_` names, so that references find it."""
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            raise LineError(line, '_base_ must be a file name or a list of file names.')
        base, trace = self._load_bases(list(names), Place(self.path, line))
        self.references.base = base
        self._note_tree(base, trace)

    def _note_tree(self, value: Any, trace: Trace) -> None:
        if isinstance(value, (dict, list, tuple)):
            children = trace.children
            self.note(value, {key: children[key].place for key in value} if isinstance(value, dict)
                      else [children[i].place for i in range(len(value))])
            for key, child in children.items():
                self._note_tree(value[key], child)

    def string(self, text: str, line: int) -> Any:
        """JSON and YAML write a bare reference as a string: one that is nothing else is the value itself."""
        name = self.references.alone(text)
        return self.references.filled(text, line) if name is None else self.references.value(name, line)

    def copied(self, value: Any, place: Place, depth: int = 0) -> Tuple[Any, Trace]:
        """An unshared copy of finished data, checked to be plain, with the tree of its places."""
        if depth > MAX_DEPTH:
            raise LineError(place.line, f'nested too deeply (more than {MAX_DEPTH} levels).')
        if isinstance(value, str):
            value = self.string(value, place.line)
        self._size += NODE_COST + (len(value) if isinstance(value, str) else 0)
        if self._size > MAX_SIZE:
            raise LineError(place.line, 'the finished config is too large: something is repeated too often.')
        if not isinstance(value, (dict, list, tuple)):
            return self.scalar(value, place.line), Trace(place, {})
        places = self.places(value, place)
        pairs = {self.key(k, place.line): self.copied(v, places[k], depth + 1) for k, v in entries(value)}
        trace = Trace(place, {key: child for key, (_, child) in pairs.items()})
        if isinstance(value, dict):
            return {key: item for key, (item, _) in pairs.items()}, trace
        return type(value)([item for item, _ in pairs.values()]), trace

    def key(self, key: Any, line: int) -> Any:
        """The key, if it is one that a config may hold, its references filled in."""
        if key is not None and not isinstance(key, (str, int, float)):
            raise LineError(line, f'a key must be a string or a number, not {kind(key)}.')
        return self.references.filled(key, line) if isinstance(key, str) else self.scalar(key, line)

    def scalar(self, value: Any, line: int) -> Any:
        """The value, if it is one that a config may hold."""
        if value is not None and not isinstance(value, (str, int, float)):
            raise LineError(line, f'{kind(value)} is not config data. Write it as a string or a number.')
        if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
            raise LineError(line, f'the integer is too large (over {MAX_INT_BITS} bits).')
        if value != value:
            raise LineError(line, 'nan is no value for a config: it does not even equal itself.')
        return value
