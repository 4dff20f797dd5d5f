"""Read the lists of a large JSON object piece by piece, so that memory does not grow with the file.

A list is cut where a record seems to end, `}, {`, and the piece is parsed. If it parses, the cut was right: strings are closed
and brackets balanced in it. If not, the cut fell into a record or behind the list, and its place is looked for bracket by
bracket.
"""
from __future__ import annotations

import mmap
import re
from typing import Any, Generator, Iterator, NamedTuple, Tuple

import orjson

PIECE = 8 * 2**20  # bytes of JSON at a time: about 60 MB of objects
SPACE = re.compile(rb'[ \t\r\n]*')
KEY = re.compile(rb'("(?:[^"\\]|\\.){0,1000}")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
CUT = re.compile(rb'\}[ \t\r\n]*,[ \t\r\n]*(?=\{)')
TOKEN = re.compile(rb'"[^"\\]*"|["\[\]{},]')  # a quote alone begins a string with escapes, or without an end
IN_STRING = re.compile(rb'["\\]')
SCALAR = re.compile(rb'[^\[\]{},"\s]+')
# Numbers of polygons, most of a COCO file, are of no use to a detector of boxes. The name with a colon cannot be part of a
# string, whose quotes are escaped, and only numbers may stand between the brackets.
POLYGONS = re.compile(rb'"segmentation"[ \t\r\n]*:[ \t\r\n]*\[[-+0-9.eE, \t\r\n\[\]]*\]')


class Unreadable(ValueError):
    """Not JSON, or not an object."""


class Piece(NamedTuple):
    """Part of the value of a key.

    Fields:
        key: of the object.
        start: index of the first record in its list; None if `value` is the whole value, and no list.
        value: records, or the value.
    """
    key: str
    start: Any
    value: Any


def pieces(path: str, size: int = PIECE) -> Iterator[Piece]:
    """The object of a file, key by key; a list in pieces of about `size` bytes, an empty one as an empty piece.

    Raises:
        Unreadable: the file holds something else.
        OSError: it cannot be read.
    """
    with open(path, 'rb') as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # empty
            raise Unreadable('empty') from None
        with data:
            yield from _object(data, size)


def _object(data: Any, size: int) -> Iterator[Piece]:
    place = _expect(data, SPACE.match(data).end(), b'{')
    while data[place:place + 1] != b'}':
        found = KEY.match(data, place)
        if not found:
            raise Unreadable(f'no key at byte {place}')
        key, place = _loads(found.group(1)), found.end()
        if data[place:place + 1] == b'[':
            place = yield from _list(data, key, place + 1, size)
        else:
            end = _end_of_value(data, place)
            yield Piece(key, None, _loads(data[place:end]))
            place = end
        place = SPACE.match(data, place).end()
        if data[place:place + 1] == b',':
            place = SPACE.match(data, place + 1).end()
            if data[place:place + 1] == b'}':
                raise Unreadable(f'no key at byte {place}')
        else:
            _checked(data[place:place + 1], b'}', place)
    if SPACE.match(data, place + 1).end() != len(data):
        raise Unreadable(f'more at byte {place + 1}')


def _list(data: Any, key: str, place: int, size: int) -> Generator[Piece, None, int]:
    """Pieces of the list whose first record begins at `place`; returns where it ends."""
    place, start = SPACE.match(data, place).end(), 0
    if data[place:place + 1] == b']':
        yield Piece(key, 0, [])
        return place + 1
    while True:
        found = CUT.search(data, place + size)
        try:
            if not found:
                raise Unreadable('the last piece')
            records, after = _records(data[place:found.start() + 1]), found.end()
            closed = False
        except Unreadable:
            end = _end_of_record(data, place, size)
            records, closed = _records(data[place:end]), data[end:end + 1] == b']'
            after = SPACE.match(data, end + 1).end()
        if not records:
            raise Unreadable(f'no value at byte {place}')
        yield Piece(key, start, records)
        if closed:
            return end + 1
        start, place = start + len(records), after


def _records(text: bytes) -> Any:
    return _loads(b'[' + POLYGONS.sub(b'"segmentation":0', text) + b']')


def _end_of_record(data: Any, place: int, size: int) -> int:
    """Where the list ends, or the comma behind the first record that ends `size` bytes on."""
    depth = 0
    for at, mark, _ in _tokens(data, place):
        if mark in b'[{':
            depth += 1
        elif mark in b']}':
            depth -= 1
            if depth < 0:
                return _checked(mark, b']', at)
        elif mark == b',' and not depth and at >= place + size:
            return at
    raise Unreadable('a list has no end')


def _end_of_value(data: Any, place: int) -> int:
    """The byte behind a value that is no list."""
    scalar = SCALAR.match(data, place)
    if scalar:
        return scalar.end()
    depth = 0
    for _, mark, end in _tokens(data, place):
        depth += (mark in b'[{') - (mark in b']}')
        if not depth and mark != b',':
            return end
        if depth < 0 or (not depth and mark == b','):
            break
    raise Unreadable(f'no value at byte {place}')


def _tokens(data: Any, place: int) -> Iterator[Tuple[int, bytes, int]]:
    """Where each bracket, brace, comma and string begins, its first byte, and where it ends.

    However many quotes and escapes there are, each byte is looked at once.
    """
    found = TOKEN.search(data, place)
    while found:
        start, end = found.span()
        if found.group() == b'"':
            end = _end_of_string(data, end)
        yield start, data[start:start + 1], end
        found = TOKEN.search(data, end)


def _end_of_string(data: Any, place: int) -> int:
    """The byte behind a string that goes on at `place`."""
    while True:
        found = IN_STRING.search(data, place)
        if not found:
            raise Unreadable('a string has no end')
        if found.group() == b'"':
            return found.end()
        place = found.end() + 1  # behind what is escaped


def _checked(mark: bytes, expected: bytes, place: int) -> int:
    if mark != expected:
        raise Unreadable(f'no {expected!r} at byte {place}')
    return place


def _expect(data: Any, place: int, mark: bytes) -> int:
    """Behind a mark and the space after it."""
    return SPACE.match(data, _checked(data[place:place + 1], mark, place) + 1).end()


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unreadable(str(error)) from None
