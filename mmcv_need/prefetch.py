"""Batches put where the model lives while the device is still busy with the batch before."""
from __future__ import annotations

from typing import Any, Iterable, Iterator

import torch

from mmcv_need import device as devices


def on_side_stream(batches: Iterable[Any], wrapper: Any, device: torch.device) -> Iterator[Any]:
    """The batches, on the device and finished there.

    When a batch is asked for, the host has handed the step before to the device, which works on it. The copy and what finishes
    the batch run beside it, in a stream of their own; the next step waits for them on the device. Nothing is read ahead of
    what was asked for. On the CPU, which has no streams, batches pass as they are.

    Args:
        batches: from a loader; a list among them holds a batch for each view of the same pictures.
        wrapper: has `on_device`, see data_parallel.py.
        device: the model's.
    """
    stack = None if device.type == 'cpu' else devices.stack(device)
    if not hasattr(stack, 'Stream'):
        yield from batches
        return
    side = stack.Stream(device)
    for batch in batches:
        with stack.stream(side):
            placed = [wrapper.on_device(view) for view in batch] if isinstance(batch, list) else wrapper.on_device(batch)
        main = stack.current_stream(device)
        main.wait_stream(side)
        for tensor in tensors_of(placed):
            tensor.record_stream(main)  # or its memory might be used again by the side stream too early
        yield placed


def tensors_of(batch: Any) -> Iterator[torch.Tensor]:
    """The tensors of a batch on a device, however deep."""
    if isinstance(batch, torch.Tensor):
        if batch.device.type != 'cpu':
            yield batch
    elif isinstance(batch, dict):
        for value in batch.values():
            yield from tensors_of(value)
    elif isinstance(batch, (list, tuple)):
        for value in batch:
            yield from tensors_of(value)
