"""A step of any optimizer that takes effect only if a flag on the device says so, without asking for the flag.

The optimizer steps; where the flag is false, weights and state get their old values back on the device. What an optimizer
keeps on the host (Adam's `step`, NAdam's `mu_product`) is put back when the flag becomes known there. torch's fused optimizers
take such a flag themselves, and need no copies.
"""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Sequence

import torch
from torch import Tensor

Values = Dict[Tensor, Dict[str, Any]]  # weight -> what an optimizer remembers of it, by name


def masked_step(optimizer: torch.optim.Optimizer, applies: Tensor) -> Callable[[], None]:
    """Step, and undo it on the device unless `applies`, () bool.

    Returns:
        What undoes the rest of it: to be called before the next step, if the flag was false.
    """
    if all(group.get('fused') for group in optimizer.param_groups):
        return _fused_step(optimizer, applies)
    weights = [weight for group in optimizer.param_groups for weight in group['params'] if weight.grad is not None]
    old_weights = [weight.detach().clone() for weight in weights]
    old: Values = {weight: {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}
                   for weight, state in optimizer.state.items()}
    optimizer.step()
    with torch.no_grad():
        for weight, before in zip(weights, old_weights):
            weight.copy_(torch.where(applies, weight, before))
        for weight, state in old.items():
            for name, value in state.items():
                if on_device(value, weight):
                    now = optimizer.state[weight][name]
                    now.copy_(torch.where(applies, now, value))
                    state[name] = now  # right whatever the flag is, so that the copy need not be kept
    return partial(put_back, optimizer, old)


def _fused_step(optimizer: torch.optim.Optimizer, applies: Tensor) -> Callable[[], None]:
    """The same by the kernel itself, whose flag has the opposite meaning, as torch's GradScaler sets it."""
    new = [weight for group in optimizer.param_groups for weight in group['params']
           if weight.grad is not None and not optimizer.state.get(weight)]
    optimizer.found_inf, optimizer.grad_scale = (~applies).float(), None
    try:
        optimizer.step()
    finally:
        del optimizer.found_inf, optimizer.grad_scale
    return partial(forget, optimizer, new)


def forget(optimizer: torch.optim.Optimizer, weights: Sequence[Tensor]) -> None:
    """Let an optimizer remember nothing of weights that it had not seen before."""
    for weight in weights:
        optimizer.state.pop(weight, None)


def put_back(optimizer: torch.optim.Optimizer, old: Values) -> None:
    """Let an optimizer remember what it did."""
    for weight in list(optimizer.state):
        if weight in old:
            optimizer.state[weight] = old[weight]
        else:
            del optimizer.state[weight]  # it had none, and makes it at its first step


def on_device(value: Any, weight: Tensor) -> bool:
    """Whether a value of an optimizer's state lives where the weight does, and so does the flag."""
    return isinstance(value, Tensor) and value.device == weight.device
