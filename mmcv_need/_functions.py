"""Put a batch where the model lives."""
from __future__ import annotations

from typing import Any

import torch


def scatter(batch: Any, device: torch.device) -> Any:
    """Copy every tensor of a batch to a device; other values (pictures' metas) stay as they are.

    Args:
        batch: a tensor, or nested dicts, lists and tuples of tensors and other values.
        device: where the model's parameters are. Copies from pinned memory do not wait.
    """
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: scatter(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, '_fields'):
        return type(batch)(*(scatter(value, device) for value in batch))
    if isinstance(batch, (list, tuple)) and any(isinstance(value, (torch.Tensor, dict, list, tuple)) for value in batch):
        return type(batch)(scatter(value, device) for value in batch)
    return batch
