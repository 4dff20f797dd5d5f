"""Datasets in lists: MMDetection's short ways of saying ConcatDataset, and defaults that mean the datasets within wrappers."""
from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from mmcv_need.errors import ConfigError

FILES = ('img_prefix', 'seg_prefix', 'proposal_file')  # may be lists beside a list of annotation files
WRAPPED = ('dataset', 'datasets')


def split_ann_files(node: Any, key: str = '', where: Callable[[str], str] = lambda key: '') -> Any:
    """A dataset of a config with every list written out as a ConcatDataset; the node itself stays as it is.

    `dict(type=T, ann_file=[a, b], img_prefix=[c, d])` becomes a ConcatDataset of two T, and so does a list of datasets.

    Args:
        node: of `data.train` and its like; wrappers are searched.
        key: its place, for messages.
        where: file and line of a key, for messages.

    Raises:
        ConfigError: lists of different lengths, or empty ones.
    """
    if isinstance(node, (list, tuple)):
        return {'type': 'ConcatDataset', 'datasets': _each(node, key, where)}
    if not isinstance(node, dict):
        return node
    if isinstance(node.get('ann_file'), (list, tuple)):
        return _concatenated(node, key, where)
    whole = dict(node)
    if 'dataset' in whole:
        whole['dataset'] = split_ann_files(whole['dataset'], f'{key}.dataset', where)
    if isinstance(whole.get('datasets'), (list, tuple)):
        whole['datasets'] = _each(whole['datasets'], f'{key}.datasets', where)
    return whole


def _each(nodes: Sequence[Any], key: str, where: Callable[[str], str]) -> Sequence[Any]:
    if not nodes:
        raise _error(where, key, 'the list is empty; expected at least one dataset')
    return [split_ann_files(item, f'{key}.{i}', where) for i, item in enumerate(nodes)]


def _error(where: Callable[[str], str], key: str, message: str) -> ConfigError:
    return ConfigError(': '.join(part for part in (where(key), key.lstrip('.'), message) if part))


def _concatenated(node: Dict[str, Any], key: str, where: Callable[[str], str]) -> Dict[str, Any]:
    files = node['ann_file']
    if not files:
        raise _error(where, f'{key}.ann_file', 'the list is empty; expected at least one file')
    lists = {name: node[name] for name in FILES if isinstance(node.get(name), (list, tuple))}
    for name, values in lists.items():
        if len(values) != len(files):
            raise _error(where, f'{key}.{name}', f'has {len(values)} entries for {len(files)} of ann_file; expected one '
                                                 f'each, or one string for all')
    common = {name: value for name, value in node.items() if name not in ('ann_file', 'separate_eval', *lists)}
    lists['ann_file'] = files
    parts = [{**common, **{name: values[i] for name, values in lists.items()}} for i in range(len(files))]
    options = {'separate_eval': node['separate_eval']} if 'separate_eval' in node else {}
    return {'type': 'ConcatDataset', 'datasets': parts, **options}


def with_defaults(node: Any, **given: Any) -> Any:
    """A dataset of a config with arguments for what it does not say; within wrappers they go to the datasets themselves."""
    if isinstance(node, (list, tuple)):
        return [with_defaults(item, **given) for item in node]
    if not isinstance(node, dict):
        return node
    if not any(name in node for name in WRAPPED):
        return {**node, **{name: value for name, value in given.items() if name not in node}}
    return {name: with_defaults(item, **given) if name in WRAPPED else item for name, item in node.items()}


def first_dataset(node: Any, key: str) -> str:
    """The place of the first dataset itself, at or within wrappers at a place: 'data.test' -> 'data.test.datasets.0'."""
    while isinstance(node, dict) and any(name in node for name in WRAPPED):
        node, key = (node['dataset'], f'{key}.dataset') if 'dataset' in node else (node['datasets'][0], f'{key}.datasets.0')
    return key
