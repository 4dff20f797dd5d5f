"""One spelling of how weights are changed: `optimizer`, `optimizer_config` and `precision`.

    optimizer         dict(type, lr, ..., paramwise_cfg=dict(...) | None, constructor)
    optimizer_config  dict(grad_clip=dict(max_norm, norm_type) | None, cumulative_iters=1)
    precision         dict(opt_level='O0' | 'O1' | 'O2', dtype='float16' | 'bfloat16', loss_scale=number | 'dynamic' | dict)

MMCV's hooks are accepted by name in `optimizer_config.type`, and MMDetection 3.x's `optim_wrapper` for all three.
"""
from __future__ import annotations

from typing import Collection

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, did_you_mean
from mmdet.apis.dialects.precision import AVERAGING, HALF_HOOKS, WRAPPERS, settle_precision
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of

OPTIMIZER_HOOKS = ('OptimizerHook', 'DistOptimizerHook', 'GradientCumulativeOptimizerHook', *HALF_HOOKS)
WRAPPED = {'optimizer': 'optimizer', 'paramwise_cfg': 'optimizer.paramwise_cfg', 'constructor': 'optimizer.constructor',
           'clip_grad': 'optimizer_config.grad_clip', 'accumulative_counts': 'optimizer_config.cumulative_iters'}


def settle_optimization(cfg: Config) -> None:
    """Bring what a config says of its optimizer to one form, in place.

    Raises:
        ConfigError: one thing said twice, or something that is not known.
    """
    _check_wrapper(cfg)
    _check_type(cfg, 'optimizer_config', OPTIMIZER_HOOKS)
    settle_precision(cfg)
    _unwrap(cfg)
    for name in ('type', *AVERAGING):
        drop(cfg, f'optimizer_config.{name}')
    if lookup(cfg, 'optimizer_config.detect_anomalous_params') is False:
        drop(cfg, 'optimizer_config.detect_anomalous_params')


def _check_type(cfg: Config, key: str, known: Collection[str]) -> None:
    kind = (section_of(cfg, key) or {}).get('type')
    if kind is not None and str(kind) not in known:
        raise ConfigError(f"{cfg.where(f'{key}.type')}: {key}.type: nothing is called '{kind}' here."
                          f'{did_you_mean(str(kind), known)}')


def _check_wrapper(cfg: Config) -> None:
    _check_type(cfg, 'optim_wrapper', WRAPPERS)
    wrapper = section_of(cfg, 'optim_wrapper')
    if wrapper is None:
        return
    section_of(cfg, 'optim_wrapper', ('type', *WRAPPED, *WRAPPERS[wrapper.get('type') or 'OptimWrapper']))
    if wrapper.get('optimizer') is None:
        raise ConfigError(f"{cfg.where('optim_wrapper')}: optim_wrapper: needs an optimizer")
    clip = section_of(cfg, 'optim_wrapper.clip_grad') or {}
    if clip.get('type', 'norm') != 'norm':
        raise ConfigError(f"{cfg.where('optim_wrapper.clip_grad.type')}: optim_wrapper.clip_grad.type: only 'norm' is "
                          f'supported, not {clip.type!r}')


def _unwrap(cfg: Config) -> None:
    """The optimizer and its options out of `optim_wrapper`."""
    drop(cfg, 'optim_wrapper.clip_grad.type')
    for old, new in WRAPPED.items():
        if lookup(cfg, f'optim_wrapper.{old}') is not None:
            move(cfg, f'optim_wrapper.{old}', new)
    drop(cfg, 'optim_wrapper')
    if lookup(cfg, 'optimizer.constructor') == 'DefaultOptimWrapperConstructor':
        cfg.optimizer['constructor'] = 'DefaultOptimizerConstructor'
