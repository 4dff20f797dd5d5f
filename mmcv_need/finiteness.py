"""Numbers that are none (NaN, infinity) in what is learnt: weights, averages, running statistics, an optimizer's memory."""
from __future__ import annotations

import math
from typing import Any, Mapping, Optional

import torch
from torch import Tensor

# Of a checkpoint. What a step that is accumulated has so far (`open_step`) may be infinite: it is left out then.
LEARNT = ('state_dict', 'training_state_dict', 'optimizer', 'loss_scaler')


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are, by one pass over it: a sum shows what is not, and is checked if it is too large."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return True
    tensor = each_once(tensor)
    wide = tensor.dtype if tensor.is_complex() else torch.promote_types(tensor.dtype, torch.float32)
    return bool(torch.isfinite(tensor.sum(dtype=wide))) or bool(torch.isfinite(tensor).all())


def each_once(tensor: Tensor) -> Tensor:
    """The numbers of a tensor; those that lie in the same memory once, since a small file can say that they are a trillion."""
    span = 1 + sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride()))
    return tensor.as_strided((span,), (1,)) if tensor.numel() > span else tensor


def first_not_finite(value: Any, name: str = '') -> Optional[str]:
    """The first tensor or number among nested dicts and lists that is not finite, in words; None if there is none.

    Args:
        value: plain data and tensors.
        name: how to call it.

    Returns:
        Such as "backbone.features.0.weight (3 of 1728 numbers)".
    """
    if isinstance(value, Tensor):
        if is_finite(value):
            return None
        numbers = each_once(value)
        return f'{name} ({int((~torch.isfinite(numbers)).sum())} of {numbers.numel()} numbers)'
    if isinstance(value, float):
        return None if math.isfinite(value) else f'{name} ({value})'
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    found = (first_not_finite(part, f'{name}.{key}'.lstrip('.')) for key, part in parts)
    return next(filter(None, found), None)


def first_not_finite_of(checkpoint: Mapping[str, Any]) -> Optional[str]:
    """The same among what a checkpoint has learnt."""
    found = (first_not_finite(checkpoint[key], '' if key == 'state_dict' else key) for key in LEARNT if key in checkpoint)
    return next(filter(None, found), None)
