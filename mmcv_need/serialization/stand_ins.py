"""What files of torch, MMCV and MMEngine may name, and what stands for it here: records that can do nothing.

A pickle is a program: it calls what it names, and sets attributes of what it gets. So nothing that it names is looked up. Each
name below gives a small sealed class or function of our own, of which plain data are made once the file is read
(plain_data.py); any other name is an error. The names are those in files of MMCV 1.x and MMEngine 0.x.
"""
from __future__ import annotations

import re
from typing import Any, Callable, Dict, NamedTuple, Tuple

import numpy as np
import torch

from mmcv_need.serialization.pickle_shapes import Refused
from mmcv_need.serialization.pickles import STAND_INS

VENDOR = re.compile(r'torch_\w+(\.\w+)+')  # a package that brings a device to torch, and a name of its own for the same tensors
REBUILD = re.compile(r'_rebuild_\w*tensor(_v2)?')
STORAGES = {'FloatStorage': torch.float32, 'DoubleStorage': torch.float64, 'HalfStorage': torch.float16,
            'BFloat16Storage': torch.bfloat16, 'LongStorage': torch.int64, 'IntStorage': torch.int32,
            'ShortStorage': torch.int16, 'CharStorage': torch.int8, 'ByteStorage': torch.uint8, 'BoolStorage': torch.bool,
            'ComplexFloatStorage': torch.complex64, 'ComplexDoubleStorage': torch.complex128, 'UntypedStorage': torch.uint8}


class Call(NamedTuple):
    """Stands for a function. Being a tuple, it has no attributes that a file could set."""
    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


class Sealed(type):
    """Makes classes whose attributes a file cannot set."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise Refused(f'a change of {cls.__name__}')


class DictLike(dict, metaclass=Sealed):
    """Stands for the kinds of dict. Attributes, such as `_metadata` of a state dict, are dropped."""
    __slots__ = ()

    def __setstate__(self, state: Any) -> None: ...


class ListLike(list, metaclass=Sealed):
    """Stands for the kinds of list."""
    __slots__ = ()


class Record(metaclass=Sealed):
    """Stands for an object; its attributes are kept."""
    __slots__ = ('attributes',)

    def __setstate__(self, state: Any) -> None:
        self.attributes = state


class Storage(NamedTuple):
    """The bytes of a storage, shape (n,) uint8, and the type of its numbers."""
    raw: np.ndarray
    dtype: torch.dtype


class View(NamedTuple):
    """Stands for a tensor, of which nothing has been checked."""
    storage: Storage
    offset: int
    size: Tuple[int, ...]
    stride: Tuple[int, ...]
    dtype: torch.dtype


def view_of(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, hooks: Any = None,
            more: Any = None) -> View:
    """Stands for `_rebuild_tensor`, `_rebuild_tensor_v2`, and a vendor's own, whose `more` is a memory layout."""
    if not isinstance(storage, Storage):
        raise Refused('a tensor without a storage')
    if isinstance(more, dict) and more:
        raise Refused('a tensor with marks of its own')  # such as a conjugate that is still to be taken
    return View(storage, offset, size, stride, storage.dtype)


def view_as(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, dtype: Any,
            more: Any = None) -> View:
    """Stands for `_rebuild_tensor_v3`: bytes, and the type of their numbers."""
    if not isinstance(dtype, torch.dtype):
        raise Refused('a tensor without a type')
    return view_of(storage, offset, size, stride, more=more)._replace(dtype=dtype)


NOTHING = Call(lambda *_: None)
NAMES: Dict[Tuple[str, str], Any] = {
    ('torch._utils', '_rebuild_tensor'): Call(view_of),
    ('torch._utils', '_rebuild_tensor_v2'): Call(view_of),
    ('torch._utils', '_rebuild_tensor_v3'): Call(view_as),
    ('torch._utils', '_rebuild_parameter'): Call(lambda data, *_: data),
    ('torch', 'Size'): Call(tuple),
    ('collections', 'OrderedDict'): DictLike,
    ('collections', 'Counter'): DictLike,  # milestones of a schedule
    ('collections', 'defaultdict'): Call(lambda *_: DictLike()),
    ('collections', 'deque'): ListLike,
    ('mmcv.utils.config', 'ConfigDict'): DictLike,
    ('mmengine.config.config', 'ConfigDict'): DictLike,
    ('mmengine.logging.history_buffer', 'HistoryBuffer'): Record}
for _builtins in ('builtins', '__builtin__'):  # of Python 3 and of Python 2
    NAMES[_builtins, 'getattr'] = NOTHING  # the methods of a HistoryBuffer
    NAMES.update({(_builtins, name): NOTHING for name in ('list', 'dict', 'int', 'float')})  # what a defaultdict makes


def stand_in(module: str, name: str) -> Any:
    """What stands for a name.

    Raises:
        Refused: nothing does.
    """
    if (module, name) in NAMES:
        return NAMES[module, name]
    if (module, name) in STAND_INS:
        return Call(STAND_INS[module, name])
    of_vendor = VENDOR.fullmatch(module)
    if name in STORAGES and (of_vendor or module == 'torch' or module.startswith('torch.')):
        return STORAGES[name]
    if of_vendor and REBUILD.fullmatch(name):
        return Call(view_of)
    if of_vendor and name == 'Format':
        return NOTHING
    dtype = getattr(torch, name, None) if module == 'torch' else None
    if isinstance(dtype, torch.dtype):
        return dtype
    raise Refused(f'{module}.{name}')
