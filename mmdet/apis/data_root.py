"""Where a config's data are: move them, and see that they are there before anything slow."""
from __future__ import annotations

import os
from typing import Any, Iterator, List, Mapping, Optional, Tuple

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DataError
from mmdet.datasets.coco_reader import WHERE_COCO_GOES
from mmdet.datasets.voc_reader import WHERE_VOC_GOES
from mmdet.datasets.wider_face import WHERE_WIDER_GOES

# Sections with paths of data: MMDetection 2's, then 3's.
USES_IT = ('data', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator')


VARIABLE = 'MMDET_DATASETS'  # MMDetection's, since 2.23


def move_data(cfg: Config, root: Optional[str]) -> None:
    """What the command line (`--data-root`), or else the environment, says of where the data are."""
    if root:
        replace_data_root(cfg, root)
    elif os.environ.get(VARIABLE):
        replace_data_root(cfg, os.environ[VARIABLE], VARIABLE)


def replace_data_root(cfg: Config, root: str, asked: str = '--data-root') -> None:
    """Put `root` wherever the config used its `data_root`. `asked`: who said so, for the error.

    Raises:
        ConfigError: the config has none, or no path that begins with it.
    """
    old = cfg.get('data_root')
    if not old:
        raise ConfigError(f'{cfg.filename}: has no data_root that {asked} could replace; set the paths in `data` instead')
    old, new = os.path.join(old, ''), os.path.join(root, '')
    cfg['data_root'] = new
    used = [cfg[key] for key in USES_IT if isinstance(cfg.get(key), dict)]
    if used and not sum(_replace(section, old, new) for section in used):
        raise ConfigError(f"{cfg.filename}: no path in `data` begins with its data_root '{old}', so --data-root changes "
                          f'nothing; set the paths in `data` instead')


def _replace(node: Any, old: str, new: str) -> int:
    """Put `new` where a path below a node begins with `old`, in place; how often."""
    count = 0
    for key, value in list(node.items()) if isinstance(node, dict) else list(enumerate(node)):
        found = 0
        if isinstance(value, str) and os.path.join(value, '').startswith(old):
            node[key], found = new + value[len(old):], 1
        elif isinstance(value, tuple):  # stays a tuple: a list of numbers means something else in a pipeline
            items = list(value)
            found = _replace(items, old, new)
            node[key] = tuple(items)
        elif isinstance(value, (dict, list)):
            found = _replace(value, old, new)
        count += found
    return count


NEEDED = (('ann_file', os.path.isfile, 'annotation file'), ('img_prefix', os.path.isdir, 'folder of pictures'))
WHERE_TO = {'CocoDataset': WHERE_COCO_GOES, 'VOCDataset': WHERE_VOC_GOES, 'WIDERFaceDataset': WHERE_WIDER_GOES}


def check_data_files(cfg: Config, *sections: str) -> None:
    """The annotation files of `data.train`, `data.val`, ... exist, and so do the folders of their pictures.

    Raises:
        DataError: one does not, with where to put the data.
    """
    for section in sections:
        for key, dataset in _datasets(f'data.{section}', cfg['data'].get(section)):
            for name, exists, what in NEEDED:
                missing = [path for path in _paths(dataset, name) if not exists(path)]
                if missing:
                    place = f"{cfg.where(f'{key}.{name}')}: ".lstrip(': ')
                    advice = WHERE_TO.get(str(dataset.get('type')), f'Check {name} and data_root of this dataset')
                    raise DataError(f'{place}{key}: no {what} at {missing[0]}. {advice}')


def _paths(dataset: Mapping[str, Any], name: str) -> List[str]:
    """What a dataset says under a name, one path or several, below its `data_root`."""
    given = dataset.get(name)
    given = given if isinstance(given, (list, tuple)) else [given]
    return [path for path in (os.path.join(dataset.get('data_root') or '', str(value or '')) for value in given) if path]


def _datasets(key: str, node: Any) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """The datasets with annotation files at and below a key, with their keys; inside wrappers too."""
    if isinstance(node, (list, tuple)):
        node = dict(enumerate(node))
    elif not isinstance(node, dict):
        return
    if isinstance(node.get('ann_file'), (str, list, tuple)):
        yield key, node
    for name, value in node.items():
        yield from _datasets(f'{key}.{name}', value)
