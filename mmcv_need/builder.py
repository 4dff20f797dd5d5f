"""Optimizers by name: every torch.optim class is a component that waits for the parameters."""
from __future__ import annotations

import functools
import inspect
import math
from typing import Any, Callable, List, Mapping, Optional

import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need.arguments import is_number
from mmcv_need.errors import ConfigError
from mmcv_need.optim.fused_optimizers import FUSED, accept_late_weights, fused
from mmcv_need.optim.optimizer_state import HOW
from mmcv_need.optim.param_groups import Paramwise, parameter_groups
from mmcv_need.refusals import refusal
from mmcv_need.registry import Registry, build

OPTIMIZERS = Registry('OPTIMIZERS', factories=True)
# What torch has and a detector cannot be trained with.
UNSUITED = {'LBFGS': 'it evaluates the loss several times a step', 'SparseAdam': 'it takes sparse gradients only',
            'Muon': 'it takes matrices only, and a detector has biases and convolutions'}
FUSED_BY_TORCH = ('SGD', 'Adam', 'AdamW')  # on all devices that have any
CONSTRUCTORS = ('DefaultOptimizerConstructor',)
OPTIONS = ('paramwise_cfg', 'constructor')  # of the section, but not of the optimizer

for _name, _class in vars(torch.optim).items():
    if isinstance(_class, type) and issubclass(_class, torch.optim.Optimizer) and _class is not torch.optim.Optimizer \
            and _name not in UNSUITED and not _name.startswith('NpuFused'):  # old Ascend builds of torch have those here
        OPTIMIZERS.register_module(_name, module=_class)
for _name in FUSED:
    OPTIMIZERS.register_module(_name, module=fused(_name))


def build_optimizer(model: nn.Module, config: Any, key: str = 'optimizer') -> torch.optim.Optimizer:
    """The optimizer of a config section such as dict(type='SGD', lr=2e-3, momentum=0.9, weight_decay=5e-4).

    Each group of parameters remembers its `initial_lr`, from which schedules start, and its `param_names`, by which a
    checkpoint's state finds its parameters again.

    Raises:
        ConfigError: unknown optimizer or argument, or a value that the optimizer refuses.
    """
    paramwise = check_optimizer(config, key)
    make: Callable[..., torch.optim.Optimizer] = build(config, OPTIMIZERS, key=key, without=OPTIONS)
    try:
        groups = parameter_groups(model, paramwise, make.keywords.get('lr'), make.keywords.get('weight_decay'))
    except ConfigError as error:
        raise ConfigError(f'{_where(config, key)}{error}') from error
    if make.keywords.get('capturable') and groups[0]['params'][0].device.type == 'cpu':
        raise ConfigError(f"{_where(config, f'{key}.capturable')}is for graphs of an accelerator, and the weights are on the "
                          f'CPU; leave it out')
    names = [group.pop('param_names') for group in groups]
    optimizer = _made(_fused_if_free(make, groups[0]['params'][0].device), groups, config, key)
    if isinstance(optimizer, torch.optim.SGD) and optimizer.defaults.get('fused'):
        accept_late_weights(optimizer)
    for group, own in zip(optimizer.param_groups, names):
        group.setdefault('initial_lr', group['lr'])
        group['param_names'] = own
    return optimizer


def _fused_if_free(make: functools.partial, device: torch.device) -> functools.partial:
    """The same optimizer in one kernel for all parameters, where torch has it and the config does not say how to compute."""
    free = make.func.__module__.startswith('torch.optim') and make.func.__name__ in FUSED_BY_TORCH
    if not free or HOW & set(make.keywords) or make.keywords.get('dampening') or not devices.fuses_updates(device):
        return make
    return functools.partial(make, fused=True)


def check_optimizer(config: Any, key: str = 'optimizer') -> Optional[Paramwise]:
    """Whether a config's optimizer section can be built, with its values, without a model.

    Returns:
        Its `paramwise_cfg`, if any.

    Raises:
        ConfigError: it cannot.
    """
    section = config[key]
    settings = section if isinstance(section, dict) else {}
    if str(settings.get('type')) in UNSUITED:
        raise ConfigError(f"{_where(config, f'{key}.type')}{settings['type']} cannot train a detector: "
                          f"{UNSUITED[settings['type']]}")
    _check_values(build(config, OPTIMIZERS, key=key, without=OPTIONS), config, key)
    constructor = settings.get('constructor')
    if constructor is not None and constructor not in CONSTRUCTORS:
        raise ConfigError(f"{_where(config, f'{key}.constructor')}only {CONSTRUCTORS[0]} is supported, not {constructor!r}")
    if not settings.get('paramwise_cfg'):  # MMCV takes {} for none, too
        return None
    paramwise = build(config, Paramwise, key=f'{key}.paramwise_cfg')
    for option in _multipliers(settings['paramwise_cfg']):
        base = 'lr' if option.endswith('lr_mult') else 'weight_decay'
        if settings.get(base) is None:
            raise ConfigError(f"{_where(config, f'{key}.paramwise_cfg')}{option} multiplies {key}.{base}, which is not given")
    return paramwise


def _check_values(make: functools.partial, config: Any, key: str) -> None:
    """Numbers stand where the defaults are numbers, since torch compares without a look; the rest it checks itself."""
    for name, parameter in inspect.signature(make.func).parameters.items():
        default, value = parameter.default, make.keywords.get(name)
        place = f'{key}.{name}'
        if name not in make.keywords:
            continue
        if name == 'differentiable' and value:
            raise ConfigError(f'{_where(config, place)}keeps the graph of every step, which training cannot; leave it out')
        if isinstance(default, tuple):
            if not isinstance(value, (list, tuple)) or len(value) != len(default) \
                    or not all(_fits(number, usual) for number, usual in zip(value, default)):
                raise ConfigError(f'{_where(config, place)}expected {len(default)} numbers such as {default}, not {value!r}')
        elif (name == 'lr' or is_number(default)) and not _fits(value, default):
            raise ConfigError(f'{_where(config, place)}expected a number, not {value!r}')
        elif isinstance(default, bool) and not isinstance(value, bool):
            raise ConfigError(f'{_where(config, place)}expected True or False, not {value!r}')
    of_torch = FUSED.get(make.func.__name__, make.func)
    if of_torch is not None:
        values = {name: value for name, value in make.keywords.items() if name not in HOW}  # which is up to the device
        _made(functools.partial(of_torch, **values), [{'params': [nn.Parameter(torch.zeros(1))]}], config, key)


def _fits(value: Any, default: Any) -> bool:
    """Whether a value can stand for a default number: a finite number, or None where the default is None."""
    return default is None if value is None else is_number(value) and math.isfinite(value)


def _made(make: Callable[..., torch.optim.Optimizer], groups: List[Any], config: Any, key: str) -> torch.optim.Optimizer:
    try:
        return make(groups)
    except ConfigError as error:
        raise ConfigError(f'{_where(config, key)}{error}') from error
    except (ValueError, TypeError, LookupError, RuntimeError) as error:
        where = getattr(config, 'where', lambda key: '')
        raise refusal(where, key, make.keywords, f'{make.func.__name__} refused its arguments: {error}') from error


def _multipliers(paramwise_cfg: Mapping[str, Any]) -> List[str]:
    custom = paramwise_cfg.get('custom_keys') or {}
    return [name for factors in (paramwise_cfg, *custom.values()) for name in factors if name.endswith('_mult')]


def _where(config: Any, key: str) -> str:
    """'file:line: key: ', as far as it is known."""
    place = getattr(config, 'where', lambda key: '')(key)
    return f'{place}: {key}: '.lstrip(': ')
