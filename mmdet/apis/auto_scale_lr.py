"""`auto_scale_lr`: a config's learning rate, brought to the batch of this run.

The linear rule: as many times the rate as the batch. Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, sec. 2.1.
"""
from __future__ import annotations

from typing import Optional

from mmcv_need.arguments import is_number
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis.dialects.spellings import lookup


class AutoScaleLr:
    """`auto_scale_lr`.

    Args:
        enable: whether to change the rate.
        base_batch_size: pictures of a step, over all processes, that `optimizer.lr` is for.
    """

    def __init__(self, enable: bool = False, base_batch_size: Optional[int] = None):
        if base_batch_size is not None and base_batch_size < 1:
            raise ConfigError(f'base_batch_size must be at least 1, not {base_batch_size}')
        self.enable, self.base_batch_size = enable, base_batch_size


def enable_auto_scale_lr(cfg: Config) -> None:
    """`--auto-scale-lr`: turn it on.

    Raises:
        ConfigError: the config does not say which batch its rate is for.
    """
    cfg.merge_from_dict({'auto_scale_lr.enable': True}, source='--auto-scale-lr')
    check_auto_scale_lr(cfg)


def check_auto_scale_lr(cfg: Config) -> AutoScaleLr:
    """`auto_scale_lr` can do what it says.

    Raises:
        ConfigError: it is turned on, and the rate or its batch is missing.
    """
    if not cfg.get('auto_scale_lr'):
        return AutoScaleLr()
    scaling = build(cfg, AutoScaleLr, key='auto_scale_lr')
    if scaling.enable and scaling.base_batch_size is None:
        raise ConfigError(f"{cfg.where('auto_scale_lr.enable')}: auto_scale_lr needs base_batch_size: how many pictures a step "
                          f"of all processes has where optimizer.lr is right".lstrip(': '))
    if scaling.enable and not is_number(lookup(cfg, 'optimizer.lr')):
        raise ConfigError(f"{cfg.where('optimizer')}: auto_scale_lr scales optimizer.lr, which is no number".lstrip(': '))
    return scaling


def scaled_lr(cfg: Config, world_size: int) -> Optional[str]:
    """Scale `optimizer.lr` in place if `auto_scale_lr` is turned on, and turn that off: it is done, in dumps of the config too.

    As in MMDetection, the batch is that of the loaders: accumulated iterations (`cumulative_iters`) do not count. Rates that a
    schedule states in absolute numbers (`min_lr`, OneCycle's `max_lr`) stay as they are.

    Args:
        cfg: in canonical form.
        world_size: number of processes.

    Returns:
        A line for the log; None if it is turned off.

    Raises:
        ConfigError: see `check_auto_scale_lr`.
    """
    scaling = check_auto_scale_lr(cfg)
    if not scaling.enable:
        return None
    each = lookup(cfg, 'data.train_dataloader.samples_per_gpu') or lookup(cfg, 'data.samples_per_gpu') or 1
    batch, base, lr = world_size * each, scaling.base_batch_size, cfg.optimizer.lr
    cfg.optimizer['lr'] = lr * (batch / base)
    cfg.auto_scale_lr['enable'] = False
    made = f'{world_size} x {each} pictures a step, and the config is for {base}'
    return f'auto_scale_lr: lr {lr:g} -> {cfg.optimizer.lr:g}: {made}'
