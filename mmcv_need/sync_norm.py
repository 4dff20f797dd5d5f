"""Batch norm over the batches of all processes, on every kind of device.

Each process sends mean, variance and count of its own batch; all combine them alike, in the order of the ranks.

Source: Chan, Golub & LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
"""
from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmcv_need.dist_utils import get_dist_info


class _Gather(torch.autograd.Function):
    """(K,) of each process -> (processes, K), on every process; backward sums what all processes ask of a row."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        rows = [torch.empty_like(own) for _ in range(get_dist_info()[1])]
        dist.all_gather(rows, own.contiguous())
        return torch.stack(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.clone(memory_format=torch.contiguous_format)  # what is given belongs to torch
        dist.all_reduce(summed)
        return summed[get_dist_info()[0]]


class SyncBatchNorm(nn.BatchNorm2d):
    """A BatchNorm2d whose statistics, in training, are those of all processes' batches; computed in float32.

    With one process, and in evaluation, it is a BatchNorm2d. Batches may differ in size.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape and dtype."""
        if not self.training or get_dist_info()[1] == 1:
            return super().forward(x)
        mean, variance, count = self._statistics(x.float())
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = (variance + self.eps).rsqrt()
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return (x.float() * scale[:, None, None] + shift[:, None, None]).type_as(x)

    def _statistics(self, x: Tensor) -> Any:
        """(C,) means, (C,) variances and () number of values of a channel, of all processes."""
        own = x.mean(dim=(0, 2, 3))
        spread = (x - own[:, None, None]).square().mean(dim=(0, 2, 3))
        rows = _Gather.apply(torch.cat([own, spread, own.new_full((1,), x.numel() / x.size(1))]))
        means, spreads = rows[:, :-1].split(x.size(1), dim=1)
        counts = rows[:, -1:].detach()
        shares = counts / counts.sum()
        mean = (means * shares).sum(dim=0)
        return mean, ((spreads + (means - mean).square()) * shares).sum(dim=0), counts.sum()

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.float() if self.momentum is None else self.momentum
        self.running_mean.mul_(1 - share).add_(mean * share)
        self.running_var.mul_(1 - share).add_(variance * share)
