"""Flags that a device computes and the host wants to know, without waiting for the device."""
from __future__ import annotations

from typing import Callable

import torch

from mmcv_need import device as devices
from mmcv_need.torch_versions import has


def read_later(flag: torch.Tensor) -> Callable[[], bool]:
    """Start to copy a flag () to the host; the result waits for it, which takes no time once the device is past it."""
    if flag.device.type == 'cpu':
        return lambda: bool(flag)
    module = devices.stack(flag.device)
    copy = torch.empty((), dtype=flag.dtype, pin_memory=True) if has('pinned memory of every accelerator') else \
        torch.empty((), dtype=flag.dtype).pin_memory()
    copy.copy_(flag, non_blocking=True)
    event = module.Event()
    event.record(module.current_stream(flag.device))

    def read() -> bool:
        event.synchronize()
        return bool(copy)
    return read
