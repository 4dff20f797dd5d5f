"""`compile`: have torch translate what a training step computes into code for its shapes."""
from __future__ import annotations

import functools
import importlib.util
import os
import shutil
from typing import Any, Callable, Optional

import torch

from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.torch_versions import require

MODES = ('default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs')
SHAPES = 64  # that one function may be compiled for; boxes are padded to few lengths (datasets/loader/collate.py)
COMPILERS = ('g++', 'clang++', 'c++')


class Compiling:
    """Makes compiled functions of functions of tensors, by torch.compile with static shapes.

    Args:
        device: where the tensors are.
        backend: of torch.compile. 'inductor' makes fused kernels; 'cudagraphs' (or a stack's own of that kind) replays the
            ordinary ones without the host.
        mode: of 'inductor': 'reduce-overhead' replays its kernels without the host, the 'max-autotune' modes try several
            kernels first; None leaves it to torch.

    Raises:
        ConfigError: this torch cannot, the backend is unknown, or what it needs is missing. Nothing is left uncompiled.
    """

    def __init__(self, device: torch.device, backend: str = 'inductor', mode: Optional[str] = None):
        self.check_arguments(backend, mode)
        if backend == 'inductor':
            _require_compiler(device)
        limit = 'recompile_limit' if hasattr(torch._dynamo.config, 'recompile_limit') else 'cache_size_limit'
        setattr(torch._dynamo.config, limit, max(SHAPES, getattr(torch._dynamo.config, limit)))
        self.backend, self.mode = backend, mode

    @staticmethod
    def check_arguments(backend: str = 'inductor', mode: Optional[str] = None) -> None:
        """Whether this torch can, on whatever device."""
        require('torch.compile', instead='leave compile out')
        known = torch._dynamo.list_backends(exclude_tags=())
        if backend not in known:
            raise ConfigError(f"backend {backend!r}: this torch has none of that name.{did_you_mean(backend, known)} "
                              f"It has {', '.join(known)}")
        if mode is not None and (backend != 'inductor' or mode not in MODES):
            raise ConfigError(f"mode {mode!r}: expected one of {', '.join(MODES)}, for backend 'inductor'")

    def __call__(self, function: Callable[..., Any], begins_step: bool = False) -> Callable[..., Any]:
        """The compiled function.

        Args:
            function: of tensors, and of other values that stay the same.
            begins_step: whether it is the first of a step, whose results may take the place of those of the step before.
        """
        compiled = torch.compile(function, fullgraph=True, dynamic=False, backend=self.backend, mode=self.mode)
        mark = getattr(torch.compiler, 'cudagraph_mark_step_begin', None)
        if not begins_step or mark is None:
            return compiled

        @functools.wraps(function)
        def begin(*args: Any, **kwargs: Any) -> Any:
            mark()
            return compiled(*args, **kwargs)

        return begin

    def __str__(self) -> str:
        return f'torch.compile, {self.backend}' + (f', {self.mode}' if self.mode else '')


def _require_compiler(device: torch.device) -> None:
    """What 'inductor' makes its kernels with is here."""
    if device.type == 'cpu':
        names = [name for name in (os.environ.get('CXX'),) if name] or COMPILERS
        if not any(shutil.which(name) for name in names):
            raise ConfigError(f"backend 'inductor' needs a C++ compiler on the CPU, and none of {', '.join(names)} is here; "
                              f'install one, or leave compile out')
    elif importlib.util.find_spec('triton') is None:
        raise ConfigError(f"backend 'inductor' needs triton on {device.type}, which is not installed; install it, choose "
                          f'another backend, or leave compile out')
