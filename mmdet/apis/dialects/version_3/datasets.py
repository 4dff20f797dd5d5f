"""Datasets of MMDetection 3: where their files are, which classes and pictures they have, and their pipelines."""
from __future__ import annotations

import os
from typing import Any, Dict, List

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of
from mmdet.apis.dialects.version_3.idle import check_local, leave_out
from mmdet.apis.dialects.version_3.pipelines import settle_pipeline
from mmdet.datasets.pictures import MIN_SIDE

HARMLESS = ('serialize_data', 'lazy_init', 'max_refetch', 'ignore_keys', 'verify_meta')  # how MMEngine keeps what it has read
PREFIXES = ('img', 'img_path', 'sub_data_root')  # of the pictures


def settle_dataset(cfg: Config, key: str, test: bool, finish: List[Dict[str, Any]], idle: List[str]) -> None:
    """A dataset at a place, and those within it, in place.

    Args:
        cfg, key: config and place.
        test: whether it is to be evaluated.
        finish: transforms that the preprocessor stands for.
        idle: gets the keys that have no counterpart.
    """
    node = section_of(cfg, key)
    for name in HARMLESS:
        drop(cfg, f'{key}.{name}')
    if 'dataset' in node:
        settle_dataset(cfg, f'{key}.dataset', test, finish, idle)
        return
    if 'datasets' in node:
        for i in range(len(node['datasets'])):
            settle_dataset(cfg, f'{key}.datasets.{i}', test, finish, idle)
        return
    _paths(cfg, key, idle)
    _classes(cfg, key, idle)
    _filter(cfg, key, test, idle)
    check_local(cfg, f'{key}.backend_args')
    if test:
        drop(cfg, f'{key}.test_mode')
    if node.get('return_classes') is False:
        drop(cfg, f'{key}.return_classes')
    if 'pipeline' in node:
        settle_pipeline(cfg, f'{key}.pipeline', test, finish)


def _paths(cfg: Config, key: str, idle: List[str]) -> None:
    """`data_root` goes before the paths, as MMDetection 2's configs write them."""
    node = lookup(cfg, key)
    prefixes = section_of(cfg, f'{key}.data_prefix') or {}
    for name in [name for name in prefixes if name not in PREFIXES]:
        leave_out(cfg, f'{key}.data_prefix.{name}', idle)
    for name in list(prefixes):
        move(cfg, f'{key}.data_prefix.{name}', f'{key}.img_prefix')
    drop(cfg, f'{key}.data_prefix')
    root = node.get('data_root')
    if root:
        if node.get('img_prefix') is None:
            cfg.merge_from_dict({f'{key}.img_prefix': ''}, source=cfg.where(f'{key}.data_root'))
        for name in ('ann_file', 'img_prefix'):
            if isinstance(node.get(name), str):
                node[name] = os.path.join(root, node[name])
    drop(cfg, f'{key}.data_root')


def _classes(cfg: Config, key: str, idle: List[str]) -> None:
    metainfo = section_of(cfg, f'{key}.metainfo') or {}
    for old in ('classes', 'CLASSES'):
        move(cfg, f'{key}.metainfo.{old}', f'{key}.classes')
    for name in list(metainfo):
        leave_out(cfg, f'{key}.metainfo.{name}', idle)
    drop(cfg, f'{key}.metainfo')


def _filter(cfg: Config, key: str, test: bool, idle: List[str]) -> None:
    """In MMDetection 3 a dataset filters nothing unless it is told to; here training does unless it is told not to."""
    given = section_of(cfg, f'{key}.filter_cfg', ('filter_empty_gt', 'min_size', 'bbox_min_size')) or {}
    if test:
        drop(cfg, f'{key}.filter_cfg')
        return
    if given.get('min_size', MIN_SIDE) != MIN_SIDE:
        leave_out(cfg, f'{key}.filter_cfg.min_size', idle)
    if given.get('bbox_min_size') is not None:
        move(cfg, f'{key}.filter_cfg.bbox_min_size', f'{key}.min_size')
    if not given.get('filter_empty_gt', False):
        source = f'{key}.filter_cfg' if given else key
        cfg.merge_from_dict({f'{key}.filter_empty_gt': False}, source=cfg.where(source))
    drop(cfg, f'{key}.filter_cfg')
