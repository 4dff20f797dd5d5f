"""SGD over one buffer of all gradients."""
from __future__ import annotations

from typing import Any

import torch


class NpuFusedSGD(torch.optim.SGD):
    """torch's SGD, but each gradient is a piece of one buffer, which exists from the first step on.

    As with Ascend's, the gradients must not be taken away: `zero_grad` of the parameters' owner would do that, and then the
    buffer is stale.
    """
    is_fused_optimizer = True

    def __init__(self, params: Any, **settings: Any):
        super().__init__(params, **settings)
        self.buffers: list = []

    def combine(self) -> None:
        """Lay the gradients of each group one behind the other."""
        for group in self.param_groups:
            with_gradient = [weight for weight in group['params'] if weight.grad is not None]
            if not with_gradient:
                continue
            buffer = torch.cat([weight.grad.detach().reshape(-1) for weight in with_gradient])
            for weight, piece in zip(with_gradient, buffer.split([weight.numel() for weight in with_gradient])):
                weight.grad = piece.view(weight.shape)
            self.buffers.append((buffer, with_gradient))

    def zero_grad(self, set_to_none: bool = False) -> None:
        for buffer, _ in self.buffers:
            buffer.zero_()

    def step(self, closure: Any = None) -> Any:
        if not self.buffers:
            self.combine()
        for buffer, weights in self.buffers:
            start, end = buffer.data_ptr(), buffer.data_ptr() + buffer.numel() * buffer.element_size()
            if not all(weight.grad is not None and start <= weight.grad.data_ptr() < end for weight in weights):
                raise RuntimeError('NpuFusedSGD: a gradient is not in the combined buffer any more')
        return super().step(closure)
