"""`torch_npu.optim`: the fused optimizer that this project's configs can name."""
from __future__ import annotations

from torch_npu.optim.fused_sgd import NpuFusedSGD

__all__ = ['NpuFusedSGD']
