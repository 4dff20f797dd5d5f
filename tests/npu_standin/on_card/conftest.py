"""A process whose accelerator is the stand-in. Each test finds its cards as they were at first."""
from __future__ import annotations

import pytest
import torch
import torch_npu  # noqa: F401
from torch_npu.native import native


@pytest.fixture(autouse=True)
def cards():
    """The functions of csrc/bindings.cpp."""
    limit = native.memory_limit()
    yield native
    native.set_memory_limit(limit)
    native.set_saturates(False)
    native.unblock_all()
    native.inject_overflow('', 0)
    for card in range(native.card_count()):
        native.clear_overflow(card)
    torch.npu.set_device(0)
