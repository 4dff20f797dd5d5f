"""Classes that a config names, before any annotation file is opened: the head, and all datasets, have to agree on them."""
from __future__ import annotations

from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.classes import difference
from mmdet.apis.datasets import placed
from mmdet.datasets import DATASETS
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.datasets.pictures import class_names
from mmdet.models.dense_heads.ssd_head import SSDHead


class Named(NamedTuple):
    """Fields:
        key: the dataset's place.
        names: of its labels, as far as the config tells.
        in_order: whether labels follow this order (for COCO they follow the file's).
        given: whether the config names them, rather than the dataset's class.
    """
    key: str
    names: Tuple[str, ...]
    in_order: bool
    given: bool


def named_classes(cfg: Config, section: str) -> List[Named]:
    """Of each dataset of a section whose classes do not depend on its file; those of COCO's without `classes` do."""
    found = []
    for key, dataset in placed(cfg.data[section], f'data.{section}'):
        kind = class_of(dataset)
        of_file = issubclass(kind, CocoDataset)
        given = dataset.get('classes')
        own = getattr(kind, 'CLASSES', None)
        names = given if given is not None else None if own is COCO_CLASSES else own
        if names is not None:
            found.append(Named(key, tuple(class_names(names)), not of_file, given is not None))
    return found


def class_of(dataset: Any) -> Any:
    """The class of a dataset of a config."""
    return dataset['type'] if isinstance(dataset['type'], type) else DATASETS.get(dataset['type'])


def num_classes_named(cfg: Config) -> Optional[int]:
    """How many classes the head has; None if only its own code, which is not this toolkit's, says so."""
    head = cfg.model.get('bbox_head')
    if not isinstance(head, dict):
        return None
    return head.get('num_classes', 80 if head.get('type') in (SSDHead, 'SSDHead', 'AscendSSDHead') else None)


def class_faults(cfg: Config, *sections: str) -> Iterator[ConfigError]:
    """Each dataset has as many classes as the head, and the same as the first that names any.

    Args:
        cfg: in canonical form, free of faults by name and argument.
        sections: of `data`.
    """
    num_classes = num_classes_named(cfg)
    first: Optional[Named] = None
    for named in (named for section in sections for named in named_classes(cfg, section)):
        key = f'{named.key}.classes' if named.given else named.key
        where, count = f'{cfg.where(key)}: {key}'.lstrip(': '), len(named.names)
        some = ', '.join(named.names[:6]) + (', ...' if count > 6 else '')
        if num_classes not in (None, count):
            head = 'model.bbox_head.num_classes'
            place = f' ({cfg.where(head)})' if cfg.where(head) else ''
            yield ConfigError(f'{where}: {count} classes ({some}), but {head} is {num_classes}{place}. Set '
                              f'num_classes={count}, or name {num_classes} classes')
        elif first is not None:
            ours, theirs = named.names, first.names
            if not (named.in_order and first.in_order):
                ours, theirs = tuple(sorted(ours)), tuple(sorted(theirs))
            other = difference(ours, theirs)
            if other:
                yield ConfigError(f'{where}: not the classes of {first.key}: {other}. Bring both to one list')
        first = first or named
