"""Plain data and tensors, of the stand-ins of which a file that was read consists (stand_ins.py)."""
from __future__ import annotations

import math
from typing import Any, Dict, Tuple

import numpy as np
import torch
from torch import Tensor

from mmcv_need.serialization.pickle_shapes import Refused
from mmcv_need.serialization.pickles import Array
from mmcv_need.serialization.stand_ins import Record, View

PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype)
# One number may be spread over many places of a tensor, and a storage may have many views: whoever looks at all of them looks
# at no more than so many times what the file holds, and so many.
VIEWS, SPREAD = 16, 1 << 26
INTEGERS = {1: np.uint8, 2: np.int16, 4: np.int32, 8: np.int64, 16: np.complex128}  # by bytes; what torch and numpy share


class Plain:
    """Makes plain data: dicts, lists, tuples, numbers, strings and tensors. What a file shares stays shared.

    Args:
        tensors: whether to make them; if not, None stands for each.
    """

    def __init__(self, tensors: bool = True) -> None:
        self._tensors = tensors
        self._made: Dict[int, Any] = {}
        self._flat: Dict[Tuple[int, torch.dtype], Tensor] = {}
        self._stored = self._seen = 0  # numbers in the file, and numbers in the tensors that are made of them

    def of(self, value: Any) -> Any:
        """What a value stands for.

        Raises:
            Refused: it is nothing of the kind.
            ValueError: a tensor or array that does not fit its bytes.
        """
        if type(value) in PLAIN:
            return value
        if id(value) not in self._made:
            self._make(value)
        return self._made[id(value)]

    def _make(self, value: Any) -> None:
        made: Any
        if isinstance(value, dict):
            self._made[id(value)] = made = {}  # noted before it is filled: it may hold itself
            made.update((self._key(key), self.of(item)) for key, item in value.items())
        elif isinstance(value, list):
            self._made[id(value)] = made = []
            made.extend(self.of(item) for item in value)
        elif type(value) is tuple:
            self._made[id(value)] = tuple(self.of(item) for item in value)
        elif isinstance(value, View):
            self._made[id(value)] = self._tensor(value) if self._tensors else None
        elif isinstance(value, Array):
            self._made[id(value)] = tensor_of(value.finished())
        elif isinstance(value, np.generic):
            self._made[id(value)] = value.item()
        elif isinstance(value, bytearray):
            self._made[id(value)] = bytes(value)
        elif isinstance(value, Record):
            self._made[id(value)] = self.of(value.attributes)
        else:
            raise Refused(f'a {type(value).__name__}')

    def _key(self, key: Any) -> Any:
        if type(key) in PLAIN:
            return key
        if isinstance(key, np.generic):
            return key.item()
        raise Refused(f'a dict with a {type(key).__name__} for a key')

    def _tensor(self, view: View) -> Tensor:
        """The tensor, in the bytes of the file; views of the same bytes stay so."""
        raw, dtype = view.storage.raw, view.dtype
        key = (id(raw), dtype)
        if key not in self._flat:
            numbers = raw.view(INTEGERS[torch.empty((), dtype=dtype).element_size()])
            self._flat[key] = torch.from_numpy(numbers).view(dtype)
            self._stored += len(self._flat[key])
        flat = self._flat[key]
        if not fits(view.offset, view.size, view.stride, flat.numel()):
            raise ValueError(f'a tensor {view.size} with steps {view.stride} from {view.offset} in {flat.numel()} numbers')
        self._seen += math.prod(view.size)
        if self._seen > VIEWS * self._stored + SPREAD:
            raise Refused(f'tensors of {self._seen:,} numbers that are made of {self._stored:,}')
        return flat.as_strided(view.size, view.stride, view.offset)


def fits(offset: Any, size: Any, stride: Any, count: int) -> bool:
    """Whether a view lies within `count` numbers."""
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)):
        return False
    if not all(type(number) is int and number >= 0 for number in (offset, *size, *stride)):
        return False
    return 0 in size or offset + sum((n - 1) * step for n, step in zip(size, stride)) < count


def tensor_of(array: np.ndarray) -> Any:
    """An array as a tensor, or as lists where tensors have no such numbers."""
    native = array.astype(array.dtype.newbyteorder('='))
    return native.tolist() if native.dtype.kind == 'u' and native.itemsize > 1 else torch.from_numpy(native)
