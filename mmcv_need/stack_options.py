"""Options of an accelerator's own stack, which a config may set by a section of the accelerator's name (see device.py)."""
from __future__ import annotations

import warnings
from typing import Any, Optional

from mmcv_need.errors import DeviceError


class CompileOptions:
    """How a stack compiles operators and stores tensors.

    Args:
        jit_compile: whether operators are compiled for each shape they meet, which takes minutes at first, instead of taken
            from the stack's binaries.
        allow_internal_format: whether tensors may lie in formats of the device's own; None leaves it to the stack.
    """

    def __init__(self, jit_compile: bool = False, allow_internal_format: Optional[bool] = None):
        self.jit_compile, self.allow_internal_format = jit_compile, allow_internal_format

    def apply(self, stack: Any) -> None:
        """Set them for this process.

        Args:
            stack: the module of the device's functions.

        Raises:
            DeviceError: this version of the stack cannot do what was asked for.
        """
        if hasattr(stack, 'set_compile_mode'):
            stack.set_compile_mode(jit_compile=self.jit_compile)
        else:
            warnings.warn("the device's software is too old to be told how to compile: jit_compile has no effect",
                          UserWarning, stacklevel=2)
        if self.allow_internal_format is not None:
            if not hasattr(stack, 'config'):
                raise DeviceError("the device's software is too old for allow_internal_format; leave it out")
            stack.config.allow_internal_format = self.allow_internal_format
