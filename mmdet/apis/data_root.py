"""Where a config's data are: move them, and see that they are there before anything slow."""
from __future__ import annotations

import os
from typing import Any, Iterator, Mapping, Tuple

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DataError
from mmdet.datasets.coco_reader import WHERE_COCO_GOES


def replace_data_root(cfg: Config, root: str) -> None:
    """`--data-root`: put `root` wherever the config used its `data_root`.

    Raises:
        ConfigError: the config has none, or no path that begins with it.
    """
    old = cfg.get('data_root')
    if not old:
        raise ConfigError(f'{cfg.filename}: has no data_root that --data-root could replace; set the paths in `data` instead')
    old, new = os.path.join(old, ''), os.path.join(root, '')
    cfg['data_root'] = new
    replaced = 0
    for holder, key, value in _strings(cfg.get('data') or {}):
        if os.path.join(value, '').startswith(old):
            holder[key] = new + value[len(old):]
            replaced += 1
    if cfg.get('data') and not replaced:
        raise ConfigError(f"{cfg.filename}: no path in `data` begins with its data_root '{old}', so --data-root changes "
                          f'nothing; set the paths in `data` instead')


def _strings(node: Any) -> Iterator[Any]:
    """(holder, key, value) of every string below a node that can be changed."""
    for key, value in list(node.items()) if isinstance(node, dict) else list(enumerate(node)):
        if isinstance(value, str) and not isinstance(node, tuple):
            yield node, key, value
        elif isinstance(value, (dict, list)):
            yield from _strings(value)


def check_annotation_files(cfg: Config, *sections: str) -> None:
    """The annotation files of `data.train`, `data.val`, ... exist.

    Raises:
        DataError: one does not, with where to put the data.
    """
    for section in sections:
        for key, dataset in _datasets(f'data.{section}', cfg['data'].get(section)):
            path = os.path.join(dataset.get('data_root') or '', dataset['ann_file'])
            if not os.path.isfile(path):
                place = f"{cfg.where(f'{key}.ann_file')}: ".lstrip(': ')
                raise DataError(f'{place}{key}: no annotation file at {path}. {WHERE_COCO_GOES}')


def _datasets(key: str, node: Any) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """The datasets with an annotation file at and below a key, with their keys; inside wrappers too."""
    if isinstance(node, (list, tuple)):
        node = dict(enumerate(node))
    elif not isinstance(node, dict):
        return
    if isinstance(node.get('ann_file'), str):
        yield key, node
    for name, value in node.items():
        yield from _datasets(f'{key}.{name}', value)
