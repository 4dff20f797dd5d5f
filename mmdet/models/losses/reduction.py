"""From the losses of boxes to the number that goes backward, with MMDetection's rules."""
from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from mmcv_need.errors import ConfigError

REDUCTIONS = ('none', 'mean', 'sum')
EPS = torch.finfo(torch.float32).eps  # added to what a sum is divided by


def check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ConfigError(f"reduction {reduction!r}: expected one of {', '.join(map(repr, REDUCTIONS))}")


def reduce_loss(loss: Tensor, reduction: str, weight: Optional[Tensor] = None, avg_factor: Optional[float] = None) -> Tensor:
    """Weight losses, and bring them together.

    Args:
        loss: (...) of each box, or (..., 4) of each of its numbers.
        reduction: 'none', 'mean' or 'sum'.
        weight: of each; (..., 4) for losses of boxes stands for its mean.
        avg_factor: what the sum is divided by, for 'mean'; None is the number of losses.

    Returns:
        The shape of `loss` for 'none', else ().
    """
    check_reduction(reduction)
    if weight is not None:
        loss = loss * (weight.mean(dim=-1) if weight.dim() > loss.dim() else weight)
    if reduction == 'none':
        return loss
    if avg_factor is None:
        return loss.mean() if reduction == 'mean' else loss.sum()
    if reduction == 'sum':
        raise ConfigError("avg_factor divides a mean: a loss of reduction='sum' takes none")
    return loss.sum() / (avg_factor + EPS)
