"""The overflow status of a card that saturates."""
from __future__ import annotations

import os

from torch import Tensor

from torch_npu.native import native
from torch_npu.npu.cards import index_of


def npu_get_float_status(status: Tensor) -> Tensor:
    """Write into the first of the 8 numbers of `status`, on a card, whether the card overflowed; the same tensor.

    NPU_STANDIN_STATUS=0 makes a card whose status never tells, to see what would happen without it.
    """
    found = native.overflowed(index_of(status.device)) and os.environ.get('NPU_STANDIN_STATUS') != '0'
    status[0] = float(found)
    return status


def npu_clear_float_status(status: Tensor) -> Tensor:
    native.clear_overflow(index_of(status.device))
    return status
