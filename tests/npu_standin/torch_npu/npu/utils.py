"""What kind of card this is. The name of the module is Ascend's."""
from __future__ import annotations

from torch_npu.native import native


def is_support_inf_nan() -> bool:
    """Whether infinity and NaN stay what they are, and are not turned into finite numbers and a flag."""
    return not native.saturates()
