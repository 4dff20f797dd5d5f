"""The wrapper of a model that trains in several processes, one device each."""
from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import Any, Dict, Optional

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmcv_need.data_parallel import Prepare, place, to_device
from mmcv_need.precision import Precision
from mmcv_need.random_state import random_state, set_random_state

_ACCEPTED = inspect.signature(DistributedDataParallel.__init__).parameters
# Buffers are not sent round in every step; torch 2.13 renamed the argument.
NO_BUFFER_SYNC: Dict[str, Any] = {
    'forward_sync_buffers' if 'forward_sync_buffers' in _ACCEPTED else 'broadcast_buffers': False}
# Every step uses the same parameters, so their use need not be looked for; torch has that since 1.12.
SAME_EVERY_STEP: Dict[str, Any] = {'static_graph': True} if 'static_graph' in _ACCEPTED else {}
REHEARSALS = 2  # with a graph that stays the same, torch first sees which weights are used, and then in which order


class MMDistributedDataParallel(DistributedDataParallel):
    """Plain DistributedDataParallel (gloo, nccl or hccl) with the training step that the runner calls.

    Args:
        module: the model; moved to `device`.
        device: this process's device.
        prepare: applied to the batch on the device, before the model.
        find_unused_parameters: for models of which a step may use a part only.
        precision: which numbers the model computes in; None is float32. Gradients are averaged in float32.

    Attributes:
        computing: makes the context in which to call the model.
    """

    def __init__(self, module: nn.Module, device: torch.device, prepare: Optional[Prepare] = None,
                 find_unused_parameters: bool = False, precision: Optional[Precision] = None):
        graph = {'find_unused_parameters': True} if find_unused_parameters else SAME_EVERY_STEP
        super().__init__(place(module, device), device_ids=None if device.type == 'cpu' else [device.index],
                         gradient_as_bucket_view=True, **NO_BUFFER_SYNC, **graph)
        self.on = device
        self.prepare = prepare
        self.computing = precision.applied_to(self.module) if precision else nullcontext
        self._settled = find_unused_parameters

    def on_device(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        return to_device(batch, self.on, self.prepare)

    def train_step(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        """Losses of this process's batch; backward averages gradients over the processes."""
        batch = self.on_device(batch)
        if not self._settled:
            self._settle(batch)
        return self._losses(batch)

    def _losses(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        with self.computing():
            losses = self(return_loss=True, **batch)
        return self.module.summarize_losses(losses, num_samples=len(batch['img']))

    def _settle(self, batch: Dict[str, Any]) -> None:
        """Rehearse the first step, of which nothing stays.

        After a process's first steps torch lays gradients out anew for their way to the other processes, in the order in which
        they came. Sums over more than two are rounded as they lie, so without this a run that goes on would not be, to the
        last bit, one that never stopped.
        """
        self._settled = True
        drawn = random_state(self.on)
        buffers = [(buffer, buffer.detach().clone()) for buffer in self.module.buffers()]
        gradients = [(weight, weight.grad) for weight in self.module.parameters()]  # of a step that is not complete
        for weight, _ in gradients:
            weight.grad = None
        for _ in range(REHEARSALS):
            self._losses(batch)['loss'].backward()
        for weight, gradient in gradients:
            weight.grad = gradient
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        set_random_state(self.on, drawn)

    def val_step(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        batch = self.on_device(batch)
        with self.computing():
            losses = self.module(return_loss=True, **batch)
        return self.module.summarize_losses(losses, num_samples=len(batch['img']))
