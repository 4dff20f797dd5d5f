"""Optimizers that come with an accelerator's own stack: Ascend's NpuFused* and apex's Fused*, by name.

They compute what torch's optimizers compute, with all parameters in one buffer. Where one is not there, torch's class of the
same formula takes its place, with a line that says so; where torch has none, that is an error.
"""
from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from typing import Any, Callable, Dict, List, Optional

import torch

from mmcv_need import device as devices
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.errors import ConfigError

# Name -> torch's class of the same formula and arguments, if it has one.
FUSED: Dict[str, Optional[Callable[..., torch.optim.Optimizer]]] = {
    'NpuFusedSGD': torch.optim.SGD, 'NpuFusedAdam': torch.optim.Adam, 'NpuFusedAdamW': torch.optim.AdamW,
    'NpuFusedAdadelta': torch.optim.Adadelta, 'NpuFusedRMSprop': torch.optim.RMSprop,
    **dict.fromkeys(('NpuFusedAdamP', 'NpuFusedBertAdam', 'NpuFusedLamb', 'NpuFusedRMSpropTF',
                     'FusedSGD', 'FusedAdam', 'FusedAdagrad', 'FusedLAMB', 'FusedMixedPrecisionLamb', 'FusedNovoGrad'))}


def accept_late_weights(optimizer: torch.optim.Optimizer) -> None:
    """Have torch's fused SGD take weights that have their first gradient after others had theirs, which it does not.

    A momentum of zero is what such a weight starts from, as long as nothing is dampened.
    """
    optimizer.register_step_pre_hook(_begin_momentum)


def _begin_momentum(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        weights = [weight for weight in group['params'] if weight.grad is not None]
        late = [weight for weight in weights if optimizer.state[weight].get('momentum_buffer') is None]
        if group['momentum'] and len(late) < len(weights):
            for weight in late:
                optimizer.state[weight]['momentum_buffer'] = torch.zeros_like(weight)


def fused(name: str) -> Callable[..., torch.optim.Optimizer]:
    """The factory of a fused optimizer: (parameter groups, settings) -> optimizer."""
    same = FUSED[name]

    def make(params: List[Dict[str, Any]], **settings: Any) -> torch.optim.Optimizer:
        device = params[0]['params'][0].device
        own = find_fused(name, device)
        # A combined buffer takes the gradients away from DistributedDataParallel, which keeps them in buffers of its own.
        alone = get_dist_info()[1] == 1
        if own is not None and (alone or not name.startswith('NpuFused')):
            made = own(params, **settings)
            made.is_fused_optimizer = name.startswith('NpuFused')  # only newer ones say so themselves
            return made
        why = f'is not here for {device.type}' if own is None else 'is for one process'
        if same is None:
            raise ConfigError(f"{name} {why}: it comes with apex or an accelerator's own stack. Name one of torch's instead")
        warnings.warn(f'optimizer: {name} {why}; torch.optim.{same.__name__} computes the same', UserWarning, stacklevel=3)
        return same(params, **settings)

    if same is not None:
        functools.update_wrapper(make, same, assigned=('__module__', '__doc__'), updated=())  # takes its arguments
    make.__name__ = name
    return make


def find_fused(name: str, device: torch.device) -> Optional[Callable[..., torch.optim.Optimizer]]:
    """The class of this name in the device's own stack or in apex, or None."""
    return devices.fused_optimizers(device).get(name) or _apex_optimizers().get(name)


def _apex_optimizers() -> Dict[str, Callable[..., torch.optim.Optimizer]]:
    """The optimizers of NVIDIA's or Ascend's apex; {} without it. The `apex` on PyPI is something else, and is not imported."""
    spec = importlib.util.find_spec('apex')
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not any(all(os.path.isdir(os.path.join(folder, part)) for part in ('amp', 'optimizers')) for folder in folders):
        return {}
    return vars(importlib.import_module('apex.optimizers'))
