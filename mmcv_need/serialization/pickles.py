"""Read pickles that hold plain data and numpy arrays, without running anything that the file names.

A pickle is a program: what it names, it may call. Here the few names that numpy writes stand for small classes of our own,
and any other name is an error. Those classes check what they are given, and only then make an array of plain numbers.
"""
from __future__ import annotations

import io
import pickle
import re
from typing import Any, Dict, Optional, Tuple, Union

import numpy as np

from mmcv_need.errors import DataError
from mmcv_need.serialization.pickle_shapes import Refused, look_over

PLAIN_DTYPE = re.compile(r'[biuf]\d{1,2}')  # bool, integers, floating point: no objects, no records
PLAIN = (bool, int, float, complex, str, bytes, bytearray, np.generic)


class DType:
    """Stands for `numpy.dtype(spec, align, copy)`, whose state is (version, byte order, ...)."""

    def __init__(self, spec: str, *_: Any):
        if not (isinstance(spec, str) and PLAIN_DTYPE.fullmatch(spec)):
            raise Refused(f'an array of {spec!r}')
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: Tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


def plain_dtype(dtype: Any) -> np.dtype:
    """The checked type. Of bytes and another object that a file has given an attribute `dtype`, numpy would make addresses."""
    if not isinstance(dtype, DType):
        raise Refused(f'an array of {type(dtype).__name__}')
    return dtype.dtype


class Array:
    """Stands for the empty array that `_reconstruct` makes, whose state is (version, shape, dtype, fortran, bytes)."""

    def __init__(self, *_: Any):
        self.array: Optional[np.ndarray] = None

    def __setstate__(self, state: Tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.array = array_of(data, dtype, shape, 'F' if fortran else 'C').array

    def finished(self) -> np.ndarray:
        if self.array is None:
            raise ValueError('an array without its numbers')
        return self.array


def array_of(data: Union[bytes, bytearray], dtype: DType, shape: Tuple[int, ...], order: str) -> Array:
    """Stands for `numpy._core.numeric._frombuffer`."""
    made = Array()
    made.array = np.ndarray(shape, plain_dtype(dtype), data, order=order).copy(order)  # the bytes cannot be written to
    return made


def scalar_of(dtype: DType, data: bytes) -> Any:
    """Stands for `numpy._core.multiarray.scalar`."""
    return np.frombuffer(data, dtype=plain_dtype(dtype), count=1)[0]


def latin1_bytes(text: str = '', encoding: str = 'latin1') -> bytes:
    """Stands for `_codecs.encode` and `bytes()`: how protocols 0 to 2 write bytes."""
    if encoding != 'latin1':
        raise Refused(f'bytes in encoding {encoding!r}')
    return text.encode('latin1')


STAND_INS: Dict[Tuple[str, str], Any] = {
    ('numpy', 'ndarray'): Array, ('numpy', 'dtype'): DType, ('_codecs', 'encode'): latin1_bytes,
    ('builtins', 'bytes'): latin1_bytes, ('__builtin__', 'bytes'): latin1_bytes}
for _core in ('numpy.core', 'numpy._core'):  # numpy 1 and numpy 2
    STAND_INS.update({(f'{_core}.multiarray', '_reconstruct'): Array, (f'{_core}.multiarray', 'scalar'): scalar_of,
                      (f'{_core}.numeric', '_frombuffer'): array_of})


class PlainUnpickler(pickle.Unpickler):
    """Knows the names above."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STAND_INS:
            raise Refused(f'{module}.{name}')
        stand_in = STAND_INS[module, name]
        return lambda *arguments: stand_in(*arguments)  # the file may set attributes of what it gets


def load_pickle(path: str) -> Any:
    """The content of a pickle of plain data (numbers, strings, lists, tuples, dicts) and numpy arrays of numbers.

    Raises:
        DataError: it holds anything else, is damaged, or cannot be read.
    """
    try:
        with open(path, 'rb') as file:
            raw = file.read()
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror})') from error
    try:
        look_over(io.BytesIO(raw), len(raw))
        return _finished(PlainUnpickler(io.BytesIO(raw)).load(), {})
    except Refused as refused:
        raise DataError(f'{path}: holds {refused}; expected nothing but plain data and numpy arrays of numbers. Nothing of '
                        f'it was run') from None
    except Exception as error:  # what is wrong with bytes may show as anything
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise DataError(f'{path}: not a pickle, or a damaged one ({reason})') from error


def _finished(value: Any, seen: Dict[int, Any]) -> Any:
    """The value with arrays for their stand-ins; lists and dicts stay themselves, so that shared ones remain shared."""
    if isinstance(value, Array):
        return value.finished()
    if value is None or isinstance(value, PLAIN) or id(value) in seen:
        return seen.get(id(value), value)
    seen[id(value)] = value
    if isinstance(value, list):
        value[:] = [_finished(item, seen) for item in value]
    elif isinstance(value, tuple):
        seen[id(value)] = tuple(_finished(item, seen) for item in value)
    elif isinstance(value, dict) and all(key is None or isinstance(key, PLAIN) for key in value):
        value.update({key: _finished(item, seen) for key, item in value.items()})
    else:
        raise Refused(f'a {type(value).__name__}')
    return seen[id(value)]
