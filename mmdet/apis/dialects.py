"""One spelling of a config: what MMDetection's versions wrote in different places is brought to one place.

Everything after this knows that one form (MMDetection 2.28's) only.
"""
from __future__ import annotations

import copy
from typing import Any

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.hooks import HOOKS
from mmdet.apis.dataset_lists import split_ann_files

# Extra layers of SSDVGG before MMDetection 2.14, which had them in the backbone, by input size: strides, paddings, last kernel.
OLD_EXTRA_LAYERS = {300: ((2, 2, 1, 1), (1, 1, 0, 0), 3), 512: ((2, 2, 2, 2, 1), (1, 1, 1, 1, 1), 4)}


def canonical(cfg: Config) -> Config:
    """Bring a config to one form, in place.

    Raises:
        ConfigError: one thing said twice, in two spellings.
    """
    for name in ('train_cfg', 'test_cfg'):
        _move(cfg, name, f'model.{name}')
    _move(cfg, 'total_epochs', 'runner.max_epochs')
    if cfg.get('runner') is not None:
        cfg.runner.setdefault('type', 'EpochBasedRunner')
    _move(cfg, 'data.imgs_per_gpu', 'data.samples_per_gpu')
    for section in ('val', 'test'):  # before MMDetection 2.24 the loader's batch stood in the dataset's dict
        _move(cfg, f'data.{section}.samples_per_gpu', f'data.{section}_dataloader.samples_per_gpu')
        _batch_of_list(cfg, section)
    for section in ('train', 'val', 'test'):
        if lookup(cfg, f'data.{section}') is not None:
            cfg.data[section] = split_ann_files(cfg.data[section], f'data.{section}', cfg.where)
    if cfg.get('model') is not None:
        _pretrained(cfg)
        _neck(cfg)
    return cfg


def with_lr_hook(cfg: Config) -> Config:
    """A copy in which `lr_config.policy` is the type of the hook that it stands for.

    Raises:
        ConfigError: no such policy.
    """
    cfg = copy.deepcopy(cfg)
    if 'policy' in (cfg.get('lr_config') or {}):
        policy = str(cfg.lr_config.policy)
        name = f'{policy[:1].upper()}{policy[1:]}LrUpdaterHook'
        if name not in HOOKS:
            known = [hook[:-len('LrUpdaterHook')].lower() for hook in HOOKS.module_dict if hook.endswith('LrUpdaterHook')]
            raise ConfigError(f"{cfg.where('lr_config.policy')}: lr_config.policy: no policy is called '{policy}'."
                              f'{did_you_mean(policy, known)}')
        cfg.move('lr_config.policy', 'lr_config.type')
        cfg.lr_config['type'] = name
    return cfg


def _move(cfg: Config, old: str, new: str) -> None:
    """Say under the key `new` what the config says under `old`; to say it under both is an error."""
    given, taken = lookup(cfg, old, _ABSENT), lookup(cfg, new, _ABSENT)
    if given is _ABSENT:
        return
    if given is not None and taken is not None and taken is not _ABSENT:
        raise _twice(cfg, old, new)
    if taken is _ABSENT or taken is None:
        cfg.move(old, new)
    else:
        section, _, name = old.rpartition('.')
        (lookup(cfg, section) if section else cfg).pop(name)


def _twice(cfg: Config, old: str, new: str) -> ConfigError:
    return ConfigError(f'{cfg.where(old)}: {old} and {new} ({cfg.where(new)}) say the same thing twice. Keep {new}')


def _batch_of_list(cfg: Config, section: str) -> None:
    """Where `data.val` or `data.test` is a list of datasets, each could say a batch: MMDetection takes the largest."""
    datasets, new = lookup(cfg, f'data.{section}'), f'data.{section}_dataloader.samples_per_gpu'
    largest, old = 0, ''
    for i, dataset in enumerate(datasets if isinstance(datasets, (list, tuple)) else []):
        given = dataset.pop('samples_per_gpu', None) if isinstance(dataset, dict) else None
        if given is None:
            continue
        key = f'data.{section}.{i}.samples_per_gpu'
        if not isinstance(given, int) or given < 1:
            raise ConfigError(f'{cfg.where(key)}: {key}: expected an integer of 1 or more, not {given!r}')
        if lookup(cfg, new) is not None:
            raise _twice(cfg, key, new)
        if given > largest:
            largest, old = given, key
    if old:
        cfg.merge_from_dict({new: largest}, source=cfg.where(old))


def _pretrained(cfg: Config) -> None:
    """`model.pretrained` was the backbone's `init_cfg` before MMDetection 2.12."""
    if 'pretrained' not in cfg.model:
        return
    name = cfg.model.pretrained
    cfg.move('model.pretrained', 'model.backbone.init_cfg')
    cfg.model.backbone['init_cfg'] = None if name is None else dict(type='Pretrained', checkpoint=name)


def _neck(cfg: Config) -> None:
    """The neck of configs from before MMDetection 2.14, which had its layers in the backbone."""
    backbone, head = cfg.model.get('backbone') or {}, cfg.model.get('bbox_head') or {}
    if cfg.model.get('neck') is not None or backbone.get('type') != 'SSDVGG' or 'input_size' not in backbone:
        return
    if backbone['input_size'] not in OLD_EXTRA_LAYERS:
        raise ConfigError(f"{cfg.where('model.backbone.input_size')}: model.backbone.input_size {backbone['input_size']}: "
                          f'expected 300 or 512; other sizes need model.neck=dict(type=SSDNeck, ...)')
    strides, paddings, last_kernel = OLD_EXTRA_LAYERS[backbone['input_size']]
    channels = tuple(head.get('in_channels', ()))
    cfg.model['neck'] = dict(type='SSDNeck', in_channels=channels[:2], out_channels=channels, level_strides=strides,
                             level_paddings=paddings, l2_norm_scale=backbone.pop('l2_norm_scale', 20),
                             last_kernel_size=last_kernel)


_ABSENT = object()


def lookup(cfg: Config, key: str, default: Any = None) -> Any:
    """The value under a dotted key, or the default."""
    value: Any = cfg
    for part in key.split('.'):
        if not isinstance(value, (dict, Config)) or part not in value:
            return default
        value = value[part]
    return value
