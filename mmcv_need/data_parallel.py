"""The wrapper of a model on one device."""
from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Callable, Dict, Optional

import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need._functions import scatter
from mmcv_need.precision import Precision

Prepare = Callable[[Dict[str, Any]], Dict[str, Any]]


def place(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a model to a device, in the memory layout that suits it; shapes and values stay as they are."""
    return module.to(device, memory_format=devices.memory_format(device))


def to_device(batch: Dict[str, Any], device: torch.device, prepare: Optional[Prepare]) -> Dict[str, Any]:
    """The batch where the model lives, finished there."""
    batch = scatter(batch, device)
    return prepare(batch) if prepare else batch


class MMDataParallel(nn.Module):
    """Moves each batch to the model's device, finishes it there, and calls the model.

    Args:
        module: the model; moved to `device`.
        device: one device. Several cards are several processes: see distributed.py.
        prepare: applied to the batch on the device, before the model (colour distortion, normalisation).
        precision: which numbers the model computes in; None is float32.

    Attributes:
        computing: makes the context in which to call the model.
    """

    def __init__(self, module: nn.Module, device: torch.device, prepare: Optional[Prepare] = None,
                 precision: Optional[Precision] = None):
        super().__init__()
        self.module = place(module, device)
        self.device = device
        self.prepare = prepare
        self.computing = precision.applied_to(self.module) if precision else nullcontext

    def on_device(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        return to_device(batch, self.device, self.prepare)

    def forward(self, **batch: Any) -> Any:
        batch = self.on_device(batch)
        with self.computing():
            return self.module(**batch)

    def train_step(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        """Losses of one batch: dict(loss, log_vars, num_samples) of the model."""
        batch = self.on_device(batch)
        with self.computing():
            losses = self.module(return_loss=True, **batch)
        return self.module.summarize_losses(losses, num_samples=len(batch['img']))

    val_step = train_step
