"""Optimizers by name: every torch.optim class is a component that waits for the parameters."""
from __future__ import annotations

from typing import Any, Callable

import torch
from torch import nn

from mmcv_need.errors import ConfigError
from mmcv_need.registry import Registry, build

OPTIMIZERS = Registry('OPTIMIZERS')

for _name, _class in vars(torch.optim).items():
    if isinstance(_class, type) and issubclass(_class, torch.optim.Optimizer) and _class is not torch.optim.Optimizer:
        OPTIMIZERS.register_module(_name, module=_class, factory=True)


def build_optimizer(model: nn.Module, config: Any, key: str = 'optimizer') -> torch.optim.Optimizer:
    """The optimizer of a config section such as dict(type='SGD', lr=2e-3, momentum=0.9, weight_decay=5e-4).

    All parameters form one group (weight decay on biases and norms too), in the model's order, as the published
    SSD results were trained; each group remembers its `initial_lr`, from which schedules start.

    Raises:
        ConfigError: unknown optimizer or argument, or a value that the optimizer refuses.
    """
    make: Callable[..., torch.optim.Optimizer] = build(config, OPTIMIZERS, key=key)
    try:
        optimizer = make([p for p in model.parameters() if p.requires_grad])
    except (ValueError, TypeError) as error:
        place = getattr(config, 'where', lambda key: '')(key)
        raise ConfigError(f'{place}: {key}: {make.func.__name__} refused its arguments: {error}'.lstrip(': ')) from error
    for group in optimizer.param_groups:
        group.setdefault('initial_lr', group['lr'])
    return optimizer
