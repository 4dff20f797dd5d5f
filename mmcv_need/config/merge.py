"""One dict over another: `_base_` files under their child, command line options over a config."""
from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

from mmcv_need.config.places import Place, Trace, entries, kind, shortened, traced
from mmcv_need.errors import ConfigError


def overlay(lower: Any, lower_trace: Trace, upper: Dict[Any, Any], upper_trace: Trace, name: str = '') -> None:
    """Lay a dict over a dict, or over a list by its indices, in place: dicts merge, everything else is replaced.

    A dict with `_delete_=True` replaces what is below it, and so does a dict over None: `grad_clip=None` in a base is
    the usual way to leave a place for `grad_clip=dict(max_norm=35)`.

    Raises:
        ConfigError: for a dict over something that is not one, or an index that a list does not have.
    """
    for key, value in upper.items():
        if key == '_delete_':
            continue
        trace, full = upper_trace.children[key], f'{name}.{key}' if name else str(key)
        slot = list_index(lower, key, trace.place, full) if isinstance(lower, list) else key
        below = lower[slot] if isinstance(lower, list) else lower.get(slot)
        if below is None or not isinstance(value, dict) or value.get('_delete_'):
            lower[slot], lower_trace.children[slot] = without_marks(value, trace), trace
            continue
        below_trace = lower_trace.children[slot]
        by_index = isinstance(below, list) and value and all(str(k).isdecimal() for k in value if k != '_delete_')
        if not isinstance(below, dict) and not by_index:
            raise ConfigError(f'{trace.place}: {shortened(full)}: a dict cannot be laid over {kind(below)}, written at '
                              f'{below_trace.place}. Add _delete_=True to the dict to replace it.')
        overlay(below, below_trace, value, trace, full)


def set_option(data: Any, trace: Trace, name: str, value: Any, place: Place) -> None:
    """Set the dotted `name` (list indices allowed) in place, making the dicts that are missing on the way.

    Raises:
        ConfigError: for an index that a list does not have, or a step into something that is no dict or list.
    """
    data, trace, slot = _reached(data, trace, name, place)
    overlay(data, trace, {slot: value}, traced({slot: value}, place), name.rpartition('.')[0])


def move(data: Any, trace: Trace, old: str, new: str) -> None:
    """Move the value under the dotted name `old`, a key of a dict, to `new`, in place and with its trace.

    Raises:
        ConfigError: when `new` would be within something that is no dict or list.
    """
    data_from, trace_from, slot = _reached(data, trace, old, trace.place)
    value, moved = data_from.pop(slot), trace_from.children.pop(slot)
    data_to, trace_to, slot = _reached(data, trace, new, moved.place)
    data_to[slot], trace_to.children[slot] = value, moved


def rearrange(data: Any, trace: Trace, name: str, value: Any) -> None:
    """Put a value under the dotted `name`, in place; dicts within it that stood there before keep their places.

    Raises:
        ConfigError: when `name` would be within something that is no dict or list.
    """
    holder, holder_trace, slot = _reached(data, trace, name, trace.place)
    before = holder_trace.children.get(slot, Trace(holder_trace.place, {}))
    known: Dict[int, Trace] = {}
    _dicts_of(holder[slot] if isinstance(holder, list) else holder.get(slot), before, known)
    holder[slot], holder_trace.children[slot] = value, _traced_by(value, known, before.place)


def _dicts_of(value: Any, trace: Trace, known: Dict[int, Trace]) -> None:
    """The trace of each dict in a value, by its id."""
    if isinstance(value, dict):
        known[id(value)] = trace
    for key, item in entries(value):
        _dicts_of(item, trace.children[key], known)


def _traced_by(value: Any, known: Dict[int, Trace], place: Place) -> Trace:
    found = known.get(id(value))
    if found is not None:
        return found
    return Trace(place, {key: _traced_by(item, known, place) for key, item in entries(value)})


def _reached(data: Any, trace: Trace, name: str, place: Place) -> Tuple[Any, Trace, Any]:
    """The container of the dotted `name`, its trace, and the key or index within it.

    A dict that is missing (or None) on the way is made, as one written at `place`.
    """
    new_dict = type(data)  # a ConfigDict makes ConfigDicts, also within lists
    parts = name.split('.')
    for i, part in enumerate(parts):
        if not isinstance(data, (dict, list)):
            written = f', written at {trace.place},' if str(trace.place) else ''
            raise ConfigError(f"{_at(place)}{name}: '{'.'.join(parts[:i])}' is {kind(data)}{written} and has no "
                              f"'{shortened(part)}' to set. Set it as a whole.")
        slot: Any = list_index(data, part, place, name) if isinstance(data, list) else part
        if i == len(parts) - 1:
            break
        if (data[slot] if isinstance(data, list) else data.get(slot)) is None:
            data[slot], trace.children[slot] = new_dict(), Trace(place, {})
        data, trace = data[slot], trace.children[slot]
    return data, trace, slot


def _at(place: Place) -> str:
    return f'{place}: ' if str(place) else ''


def list_index(items: Sequence[Any], key: Any, place: Place, name: str) -> int:
    """The index that `key` writes, checked against the list."""
    digits = str(key)
    if not digits.isdecimal() or len(digits) > 9 or int(digits) >= len(items):
        raise ConfigError(f'{_at(place)}{name}: the list has {len(items)} elements, numbered from 0; '
                          f"'{shortened(digits)}' is not one of them.")
    return int(digits)


def without_marks(value: Any, trace: Trace) -> Any:
    """The value without `_delete_`, which says how to lay a dict over another and is no data."""
    if isinstance(value, dict):
        trace.children.pop('_delete_', None)
        return type(value)({k: without_marks(v, trace.children[k]) for k, v in value.items() if k != '_delete_'})
    if isinstance(value, (list, tuple)):
        return type(value)([without_marks(item, trace.children[i]) for i, item in enumerate(value)])
    return value
