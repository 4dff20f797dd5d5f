"""One optimization step: zero the gradients, go backward, clip, step."""
from __future__ import annotations

from typing import Dict, Mapping, Optional

import torch
from torch import Tensor, nn

from mmcv_need.precision import HalfPrecision


class OptimizerStep:
    """The four parts of it, in the order in which the runner calls them.

    Args:
        optimizer: what changes the parameters.
        grad_clip: arguments of `clip_grad_norm_`, such as dict(max_norm=35, norm_type=2); None does not clip.
        half: scales losses and gradients of a float16 run (level O1); None for float32 (O0).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, grad_clip: Optional[Mapping[str, float]] = None,
                 half: Optional[HalfPrecision] = None):
        self.optimizer = optimizer
        self.grad_clip = grad_clip
        self.half = half
        self.parameters = [p for group in optimizer.param_groups for p in group['params']]

    def zero_grad(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        (self.half.scale(loss) if self.half else loss).backward()

    def clip(self) -> Dict[str, Tensor]:
        """Scale the gradients to the norm allowed; the norm before that is a log value, left on the device."""
        if self.grad_clip is None:
            return {}
        if self.half:
            self.half.unscale(self.optimizer)
        return {'grad_norm': nn.utils.clip_grad_norm_(self.parameters, **self.grad_clip)}

    def step(self) -> None:
        if self.half:
            self.half.step(self.optimizer)
        else:
            self.optimizer.step()
