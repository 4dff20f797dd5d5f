"""`train_dataloader`, `val_dataloader` and `test_dataloader` of MMDetection 3, as `data` of MMDetection 2."""
from __future__ import annotations

from typing import Any, Dict, List

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of
from mmdet.apis.dialects.version_3.datasets import settle_dataset
from mmdet.apis.dialects.version_3.idle import leave_out, refusal

KNOWN = ('dataset', 'batch_size', 'num_workers', 'sampler', 'batch_sampler', 'persistent_workers', 'pin_memory', 'drop_last',
         'prefetch_factor', 'collate_fn', 'timeout', 'num_batch_per_epoch')
COUNTS = {'batch_size': 'samples_per_gpu', 'num_workers': 'workers_per_gpu'}
# Batches have pictures of one aspect ratio in any case, and workers stay.
BATCH_SAMPLERS = (None, 'AspectRatioBatchSampler')


def settle_loaders(cfg: Config, finish: List[Dict[str, Any]], idle: List[str]) -> None:
    """The loaders as `data`, in place.

    Args:
        cfg: a config.
        finish: transforms that the preprocessor stands for.
        idle: gets the keys that have no counterpart.
    """
    for section in ('train', 'val', 'test'):
        key = f'{section}_dataloader'
        loader = section_of(cfg, key, KNOWN)
        if loader is None:
            drop(cfg, key)
            continue
        if loader.get('dataset') is None:
            raise refusal(cfg, key, 'needs a dataset')
        _check_samplers(cfg, key, section)
        move(cfg, f'{key}.dataset', f'data.{section}')
        settle_dataset(cfg, f'data.{section}', section != 'train', finish, idle)
        for old, new in COUNTS.items():
            move(cfg, f'{key}.{old}', f'data.{new}' if section == 'train' else f'data.{key}.{new}')
        for name in ('collate_fn', 'num_batch_per_epoch'):
            if loader.get(name) is not None:
                raise refusal(cfg, f'{key}.{name}', 'not supported. Remove it')
        if loader.get('drop_last'):
            leave_out(cfg, f'{key}.drop_last', idle)
        drop(cfg, key)
    for section in ('val', 'test'):
        _only_what_differs(cfg, f'data.{section}_dataloader')


def _check_samplers(cfg: Config, key: str, section: str) -> None:
    sampler = section_of(cfg, f'{key}.sampler') or {}
    kind, shuffle = sampler.get('type', 'DefaultSampler'), sampler.get('shuffle', section == 'train')
    if kind != 'DefaultSampler':
        raise refusal(cfg, f'{key}.sampler.type', f"expected 'DefaultSampler', not {kind!r}")
    if bool(shuffle) != (section == 'train'):
        raise refusal(cfg, f'{key}.sampler.shuffle', 'pictures are shuffled in training, and not in a test')
    batches = section_of(cfg, f'{key}.batch_sampler') or {}
    if batches.get('type') not in BATCH_SAMPLERS:
        raise refusal(cfg, f'{key}.batch_sampler.type', f"expected 'AspectRatioBatchSampler' or none, not {batches['type']!r}")


def _only_what_differs(cfg: Config, key: str) -> None:
    """Leave to a loader of tests what it does otherwise than that of training."""
    for name in COUNTS.values():
        if lookup(cfg, f'{key}.{name}') == lookup(cfg, f'data.{name}'):
            drop(cfg, f'{key}.{name}')
    if not lookup(cfg, key):
        drop(cfg, key)
