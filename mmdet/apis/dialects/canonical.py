"""One spelling of a config: what MMDetection's versions wrote in different places is brought to one place.

Everything after this knows that one form (MMDetection 2.28's) only.
"""
from __future__ import annotations

import copy

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.hooks import HOOKS
from mmdet.apis.dataset_lists import split_ann_files
from mmdet.apis.dialects.names import settle_names
from mmdet.apis.dialects.optimizer import settle_optimization
from mmdet.apis.dialects.own_heads import give_head_its_settings
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of, twice
from mmdet.apis.dialects.substitution import settle_substitutions
from mmdet.apis.dialects.version_3 import settle_version_3

# Extra layers of SSDVGG before MMDetection 2.14, which had them in the backbone, by input size: strides, paddings, last kernel.
OLD_EXTRA_LAYERS = {300: ((2, 2, 1, 1), (1, 1, 0, 0), 3), 512: ((2, 2, 2, 2, 1), (1, 1, 1, 1, 1), 4)}
POLICIES = {'lr_config': 'LrUpdaterHook', 'momentum_config': 'MomentumUpdaterHook'}  # section -> end of its hooks' names


def canonical(cfg: Config) -> Config:
    """Bring a config to one form, in place.

    Raises:
        ConfigError: one thing said twice, in two spellings.
    """
    settle_substitutions(cfg)
    settle_names(cfg)
    settle_version_3(cfg)
    for name in ('train_cfg', 'test_cfg'):
        move(cfg, name, f'model.{name}')
    move(cfg, 'total_epochs', 'runner.max_epochs')
    if cfg.get('runner') is not None:
        cfg.runner.setdefault('type', 'EpochBasedRunner')
    settle_optimization(cfg)
    _best_checkpoint(cfg)
    move(cfg, 'data.imgs_per_gpu', 'data.samples_per_gpu')
    for section in ('val', 'test'):  # before MMDetection 2.24 the loader's batch stood in the dataset's dict
        move(cfg, f'data.{section}.samples_per_gpu', f'data.{section}_dataloader.samples_per_gpu')
        _batch_of_list(cfg, section)
    for section in ('train', 'val', 'test'):
        if lookup(cfg, f'data.{section}') is not None:
            cfg.data[section] = split_ann_files(cfg.data[section], f'data.{section}', cfg.where)
    if cfg.get('model') is not None:
        _pretrained(cfg)
        _neck(cfg)
        give_head_its_settings(cfg)
    return cfg


def with_policy_hook(cfg: Config, section: str, suffix: str) -> Config:
    """A copy in which a section's `policy` is the `type` of the hook that it stands for.

    'step' and 'Step' are StepLrUpdaterHook, 'CosineAnnealing' is CosineAnnealingLrUpdaterHook; the type itself will do, too.

    Args:
        cfg: in canonical form.
        section, suffix: one of POLICIES.

    Raises:
        ConfigError: no such policy, none at all, or a policy and a type.
    """
    cfg = copy.deepcopy(cfg)
    settings = section_of(cfg, section)
    if settings is None:
        return cfg
    if set(settings) & {'policy', 'type'} == {'type'}:
        if isinstance(settings.type, str) and settings.type in HOOKS and not settings.type.endswith(suffix):
            raise ConfigError(f"{cfg.where(f'{section}.type')}: {section}.type: a {settings.type} is none of its policies; it "
                              f'belongs into custom_hooks')
        return cfg
    known = [hook[:-len(suffix)] for hook in HOOKS.module_dict if hook.endswith(suffix)]
    spelled = [name.lower() if name == name.title() else name for name in known]
    if 'policy' not in settings:
        raise ConfigError(f"{cfg.where(section)}: {section}: needs a policy, one of: {', '.join(sorted(spelled))}")
    policy = str(settings.policy)
    name = f'{policy[:1].upper()}{policy[1:]}'
    if name not in known:
        raise ConfigError(f"{cfg.where(f'{section}.policy')}: {section}.policy: no policy is called '{policy}'."
                          f'{did_you_mean(policy, spelled)}')
    move(cfg, f'{section}.policy', f'{section}.type')
    settings['type'] = f'{name}{suffix}'
    return cfg


def _best_checkpoint(cfg: Config) -> None:
    """MMDetection 3.x chooses the best checkpoint where it saves them, 2.x where it evaluates."""
    for name in ('save_best', 'rule', 'greater_keys', 'less_keys'):
        old = f'checkpoint_config.{name}'
        if lookup(cfg, old) is None:
            drop(cfg, old)
        elif cfg.get('evaluation') is None:
            raise ConfigError(f'{cfg.where(old)}: {old}: to tell which checkpoint is best takes an `evaluation`')
        move(cfg, old, f'evaluation.{name}')


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
            raise twice(cfg, key, new)
        if given > largest:
            largest, old = given, key
    if old:
        cfg.merge_from_dict({new: largest}, source=cfg.where(old))


def _pretrained(cfg: Config) -> None:
    """`model.pretrained` was the backbone's `init_cfg` before MMDetection 2.12."""
    if 'pretrained' not in cfg.model:
        return
    name = cfg.model.pretrained
    if name is None and 'init_cfg' not in (cfg.model.get('backbone') or {}):
        drop(cfg, 'model.pretrained')  # a backbone of somebody's own need not have such an argument
        return
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

