"""MMCV's marks of what computes in half and what in float32, on the methods of modules.

A run's precision (precision.py) decides what a layer computes in, so `auto_fp16` has little left to do. `force_fp32` means what
it says: its function sees float32, and autocast is off within it.
"""
from __future__ import annotations

import functools
import inspect
from contextlib import nullcontext
from typing import Any, Callable, Optional, Sequence

import torch
from torch import Tensor

from mmcv_need import device as devices

HALVES = (torch.float16, torch.bfloat16)


def auto_fp16(apply_to: Optional[Sequence[str]] = None, out_fp32: bool = False) -> Callable[[Callable], Callable]:
    """Marks a method as one that may compute in half: the run's precision says whether it does.

    Args:
        apply_to: names of its arguments; no effect.
        out_fp32: whether its results become float32.
    """
    def mark(method: Callable) -> Callable:
        @functools.wraps(method)
        def marked(*args: Any, **kwargs: Any) -> Any:
            made = method(*args, **kwargs)
            return as_float32(made) if out_fp32 else made
        return marked
    return mark


def force_fp32(apply_to: Optional[Sequence[str]] = None, out_fp16: bool = False) -> Callable[[Callable], Callable]:
    """Marks a method as one that computes in float32, whatever the precision of the run.

    Args:
        apply_to: names of the arguments that become float32; None means all.
        out_fp16: no effect: what takes the results decides.
    """
    def mark(method: Callable) -> Callable:
        positional = list(inspect.signature(method).parameters)

        @functools.wraps(method)
        def marked(*args: Any, **kwargs: Any) -> Any:
            wanted = set(positional) | set(kwargs) if apply_to is None else set(apply_to)
            given = [as_float32(value) if name in wanted else value for name, value in zip(positional, args)]
            named = {name: as_float32(value) if name in wanted else value for name, value in kwargs.items()}
            seen = first_tensor([args, kwargs])
            with nullcontext() if seen is None else devices.autocast(seen.device, None):
                return method(*given, *args[len(positional):], **named)
        return marked
    return mark


def first_tensor(value: Any) -> Optional[Tensor]:
    """The first tensor in lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return next((found for found in map(first_tensor, items) if found is not None), None)


def as_float32(value: Any) -> Any:
    """Half tensors as float32 ones, also in lists, tuples and dicts; anything else as it is."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in HALVES else value
    if isinstance(value, dict):
        return type(value)({key: as_float32(item) for key, item in value.items()})
    if type(value) in (list, tuple):
        return type(value)(as_float32(item) for item in value)
    return value
