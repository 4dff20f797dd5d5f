"""`auto_scale_lr`: a config's learning rate, brought to the batch of this run.

The linear rule: as many times the rate as the batch. Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, sec. 2.1.
"""
from __future__ import annotations

from typing import List, Optional

from mmcv_need.arguments import is_number
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis.datasets import themselves
from mmdet.apis.dialects.spellings import lookup

# What SSD with VGG-16 is published with in MMDetection 2.x: SGD, 64 pictures a step, and this rate by the kind of the data.
PUBLISHED_BATCH = 64
PUBLISHED_RATES = {'VOCDataset': 1e-3}
PUBLISHED_RATE = 2e-3  # of all others, COCO's among them
MOST_CARDS = 8  # that a recipe is taken to be made for, where it does not say
FACTOR = 2.0  # how far a rate may be from the rule's


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
    """Scale `optimizer.lr` in place if `auto_scale_lr` is turned on, and turn that off.

    It is done then: dumps of the config say that the rate is for this batch.

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
    each = samples_each(cfg)
    batch, base, lr = world_size * each, scaling.base_batch_size, cfg.optimizer.lr
    cfg.optimizer['lr'] = lr * (batch / base)
    cfg.auto_scale_lr.update(enable=False, base_batch_size=batch)
    made = f'{world_size} x {each} pictures a step, and the config is for {base}'
    return f'auto_scale_lr: lr {lr:g} -> {cfg.optimizer.lr:g}: {made}'


def samples_each(cfg: Config) -> int:
    """Pictures of a training step, of each process."""
    return lookup(cfg, 'data.train_dataloader.samples_per_gpu') or lookup(cfg, 'data.samples_per_gpu') or 1


def meant_batch(cfg: Config) -> Optional[float]:
    """How many pictures of a step `optimizer.lr` is right for; None if neither the config nor a published recipe tells.

    Args:
        cfg: in canonical form, without faults.
    """
    base, lr = check_auto_scale_lr(cfg).base_batch_size, lookup(cfg, 'optimizer.lr')
    if base is not None or not is_number(lr) or lr <= 0:
        return base
    backbone, optimizer = cfg.model.get('backbone') or {}, cfg.optimizer
    as_published = (backbone.get('type'), backbone.get('norm_cfg'), backbone.get('width_factor', 1), optimizer.get('type')) == (
        'SSDVGG', None, 1, 'SGD')
    if not as_published or lookup(cfg, 'lr_config.policy') == 'OneCycle' or optimizer.get('paramwise_cfg'):
        return None
    kind = str(next(themselves(cfg.data['train'])).get('type'))
    return PUBLISHED_BATCH * lr / PUBLISHED_RATES.get(kind, PUBLISHED_RATE)


def cards_of_recipe(cfg: Config) -> int:
    """How many cards a config is most likely for: as many as make its batch, up to 8; 1 if that is not known."""
    return min(max(round((meant_batch(cfg) or 0) / samples_each(cfg)), 1), MOST_CARDS)


def rate_doubts(cfg: Config, world_size: int) -> List[str]:
    """A line if the rate does not fit the batch of this run, by a factor of more than 2.

    Args:
        cfg: in canonical form, without faults; `auto_scale_lr` has done its work, or was turned off.
        world_size: number of processes.
    """
    base, each, together = meant_batch(cfg), samples_each(cfg), lookup(cfg, 'optimizer_config.cumulative_iters') or 1
    loaded = world_size * each
    batch = loaded * together
    if base is None or any(1 / FACTOR <= pictures / base <= FACTOR for pictures in (loaded, batch)):
        return []
    lr = cfg.optimizer.lr
    made = f'{world_size} x {each}' + (f' x {together} accumulated' if together > 1 else '')
    by_itself = ', and so does --auto-scale-lr' if check_auto_scale_lr(cfg).base_batch_size is not None else ''
    return [f"{cfg.where('optimizer.lr')}: optimizer.lr: {lr:g} is for {base:g} pictures a step, and this run has {batch} "
            f'({made}). By the linear rule optimizer.lr={lr * batch / base:g} fits{by_itself}'.lstrip(': ')]
