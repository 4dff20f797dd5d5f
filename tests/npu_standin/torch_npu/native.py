"""The device itself: importing this builds it where necessary, loads it, and gives it its name.

Attributes:
    native: its functions, see csrc/bindings.cpp.
"""
from __future__ import annotations

import torch

from torch_npu.build import library

torch.ops.load_library(str(library()))
torch.utils.rename_privateuse1_backend('npu')
native = torch.ops.npu_standin
