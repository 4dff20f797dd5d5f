"""Automatic mixed precision, by its names of old."""
from __future__ import annotations

from typing import Any, List

import torch

from torch_npu.native import native


def get_amp_supported_dtype() -> List[torch.dtype]:
    return [torch.float16] + ([] if native.saturates() else [torch.bfloat16])


class autocast(torch.autocast):
    def __init__(self, enabled: bool = True, dtype: torch.dtype = torch.float16, cache_enabled: bool = True):
        super().__init__('npu', enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(torch.amp.GradScaler):
    def __init__(self, *arguments: Any, **named: Any):
        super().__init__('npu', *arguments, **named)
