"""Precision of a run: which numbers the network computes in, in training and in evaluation.

    O0  float32
    O1  float32 weights; torch's autocast chooses half where it holds it safe
    O2  half weights and activations, float32 master weights (half_weights.py)

At every level the optimizer changes float32 weights, checkpoints hold them, and norms, losses and box arithmetic are float32,
so a run may go on at another level. The names are apex's; `dtype` says which half.
"""
from __future__ import annotations

import platform
import warnings
from contextlib import nullcontext
from functools import partial
from typing import Any, Callable, ContextManager, Optional

import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need.errors import ConfigError
from mmcv_need.half_weights import HalfWeights
from mmcv_need.optim.loss_scale import LossScale, Scale

LEVELS = ('O0', 'O1', 'O2')
HALVES = {'float16': torch.float16, 'bfloat16': torch.bfloat16}


class Precision:
    """`precision`: level, kind of half, and loss scale.

    Args:
        device: where the network is.
        opt_level: 'O0', 'O1' or 'O2'.
        dtype: 'float16' or 'bfloat16', for O1 and O2.
        loss_scale: see LossScale; for float16 only, where None means 'dynamic'.

    Raises:
        ConfigError: none of these, or a loss scale where nothing needs one.
        DeviceError: the device, or this torch, cannot compute so.
    """

    def __init__(self, device: torch.device, opt_level: str = 'O0', dtype: str = 'float16', loss_scale: Optional[Scale] = None):
        self.check_arguments(opt_level, dtype, loss_scale)
        self.device = device
        self.opt_level = opt_level
        self.dtype = HALVES[dtype]
        if opt_level != 'O0':
            devices.check_half(device, self.dtype)
            warn_of_emulation(device, self.dtype)
        scaled = opt_level != 'O0' and dtype == 'float16'
        self.loss_scale = LossScale('dynamic' if loss_scale is None else loss_scale, device) if scaled else None

    @staticmethod
    def check_arguments(opt_level: str = 'O0', dtype: str = 'float16', loss_scale: Optional[Scale] = None) -> None:
        """Whether there is such a precision, on whatever device."""
        if opt_level not in LEVELS:
            raise ConfigError(f"opt_level {opt_level!r}: expected one of {', '.join(LEVELS)}")
        if dtype not in HALVES:
            raise ConfigError(f"dtype {dtype!r}: expected one of {', '.join(HALVES)}")
        if loss_scale is None:
            return
        if opt_level == 'O0' or dtype != 'float16':
            kind = 'float32' if opt_level == 'O0' else dtype
            raise ConfigError(f'loss_scale {loss_scale!r}: {kind} needs none; leave it out')
        LossScale(loss_scale, torch.device('cpu'))  # which refuses what is none

    def applied_to(self, module: nn.Module) -> Callable[[], ContextManager[Any]]:
        """What makes the context in which a network is to be called."""
        if self.opt_level == 'O1':
            return partial(devices.autocast, self.device, self.dtype)
        return HalfWeights(module, self.dtype) if self.opt_level == 'O2' else nullcontext

    def __str__(self) -> str:
        name = str(self.dtype).replace('torch.', '')
        scale = ''
        if self.loss_scale:
            first = self.loss_scale.settings['init_scale']
            scale = f', loss scale {first:g}' + (' at first, dynamic' if self.loss_scale.dynamic else '')
        return {'O0': 'O0, float32', 'O1': f'O1, float32 weights, {name} where autocast holds it safe{scale}',
                'O2': f'O2, {name} weights and activations, float32 master weights{scale}'}[self.opt_level]


def warn_of_emulation(device: torch.device, dtype: torch.dtype) -> None:
    """Say that a processor computes in bfloat16 without instructions for it, slower than in float32; newer torch knows."""
    if device.type == 'cpu' and dtype is torch.bfloat16 and platform.machine() in ('x86_64', 'AMD64'):
        known = [getattr(torch.cpu, name, None) for name in ('_is_avx512_bf16_supported', '_is_amx_tile_supported')]
        if all(known) and not any(probe() for probe in known):
            warnings.warn('this processor has no instructions for bfloat16 (AVX512-BF16 or AMX): float32 is faster here',
                          UserWarning, stacklevel=3)
