"""A look at a pickle before it is read: the unpickler in C, and Python's hash of a tuple, trust a file not to exhaust them.

Nothing is made of the file. Its opcodes are followed as the unpickler would follow them, with nothing on the stack but how
deeply each value nests tuples. A value that may change later, such as a list, is a list [depth] that the table may hold too.
"""
from __future__ import annotations

import pickletools
from typing import Any, BinaryIO, Dict, List, NamedTuple

MAX_DEPTH = 1000  # of tuples in tuples; hashing one takes some of the stack for each, uncounted: 100,000 end the process

MAX_BITS = 4096  # of whole numbers: Python writes out none of more than 4300 digits, not even in a message


class Refused(ValueError):
    """The file names something that is not plain data, or is made to do harm."""


class Effect(NamedTuple):
    """What an opcode does to the stack.

    Fields:
        takes: how many values, beside those behind the mark.
        marked: whether it takes those.
        gives: how many values.
        nests: 1 if what it gives may be a tuple of what it takes.
        changes: whether it gives back the first value that it takes, changed.
        fresh: whether it gives something new that may change.
    """
    takes: int
    marked: bool
    gives: int
    nests: int
    changes: bool
    fresh: bool


CALLS = ('REDUCE', 'INST', 'OBJ', 'NEWOBJ', 'NEWOBJ_EX')  # of what stands for torch.Size, for instance, a tuple
CHANGES = ('APPEND', 'APPENDS', 'SETITEM', 'SETITEMS', 'ADDITEMS', 'BUILD')
GETS, PUTS = ('GET', 'BINGET', 'LONG_BINGET'), ('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE')


def _effect(opcode: Any) -> Effect:
    before = [kind.name for kind in opcode.stack_before]
    takes = 0 if opcode.name == 'OBJ' else sum(kind not in ('mark', 'stackslice') for kind in before)  # its class is marked too
    nests = opcode.name.startswith('TUPLE') or opcode.name in CALLS
    return Effect(takes, 'mark' in before, len(opcode.stack_after), int(nests), opcode.name in CHANGES,
                  opcode.name.startswith('EMPTY_'))


SPECIAL = (*GETS, *PUTS, 'MARK', 'DUP', 'POP')
EFFECTS: Dict[str, Effect] = {opcode.name: _effect(opcode) for opcode in pickletools.opcodes if opcode.name not in SPECIAL}
CONSTANTS = {name for name, effect in EFFECTS.items() if not (effect.takes or effect.marked or effect.fresh) and effect.gives}
NONE = [0]  # of values that nest nothing, and never will


def look_over(file: BinaryIO, size: int) -> None:
    """Follow the next pickle of a file of `size` bytes, and go back to where it begins.

    Raises:
        Refused: it would use up memory or stack.
        Exception: it is no pickle; what is wrong with bytes may show as anything.
    """
    values: List[List[int]] = []
    marks: List[int] = []
    table: Dict[Any, List[int]] = {}
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in CONSTANTS:
            values.append(NONE)
            if type(argument) is int and argument.bit_length() > MAX_BITS:
                raise Refused(f'a whole number of {argument.bit_length()} bits')
            continue
        if name not in EFFECTS:
            _special(name, argument, size, values, marks, table)
            continue
        takes, marked, gives, nests, changes, fresh = EFFECTS[name]
        if not takes and not marked:
            if fresh:
                values.append([0])
            continue
        first = (marks.pop() if marked else len(values)) - takes
        if first < 0:
            raise ValueError('it takes more values than there are')
        taken = values[first:]
        del values[first:]
        if gives:
            depth = (max(taken)[0] if taken else 0) + nests
            if depth > MAX_DEPTH:
                raise Refused('a pickle made to use up the stack')
            if changes and taken[0] is not NONE:
                taken[0][0] = depth
                values.append(taken[0])
            else:
                values.append([depth] if depth or marked else NONE)
    file.seek(start)


def _special(name: str, argument: Any, size: int, values: List[List[int]], marks: List[int],
             table: Dict[Any, List[int]]) -> None:
    """Follow an opcode of the table or of the stack itself."""
    if name == 'MEMOIZE':
        table[len(table)] = values[-1]
    elif name in GETS:
        values.append(table[argument])
    elif name in PUTS:
        if argument > size:  # a place in a table that would be made
            raise Refused('a pickle made to use up memory')
        table[argument] = values[-1]
    elif name == 'MARK':
        marks.append(len(values))
    elif name == 'DUP':
        values.append(values[-1])
    elif marks and marks[-1] == len(values):  # POP
        marks.pop()
    else:
        values.pop()
