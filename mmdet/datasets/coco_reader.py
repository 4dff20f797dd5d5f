"""Read a COCO annotation file into columns."""
from __future__ import annotations

import math
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mmcv_need.errors import DataError, did_you_mean
from mmcv_need.json_files import read_json
from mmdet.datasets.annotations import IGNORED, LEFT_OUT, WANTED, Annotations

WHERE_COCO_GOES = ('Download COCO 2017 from https://cocodataset.org/#download and unpack it so that data/coco/ holds '
                   'annotations/, train2017/ and val2017/ (data/README.md), or say where it is: --data-root DIR')


def load_json(path: str) -> Dict[str, Any]:
    """The content of a COCO annotation file.

    Raises:
        DataError: missing, not JSON, or not of COCO's shape.
    """
    if not os.path.isfile(path):
        raise DataError(f'{path}: no such annotation file. {WHERE_COCO_GOES}')
    content = read_json(path)
    missing = [key for key in ('images', 'annotations', 'categories')
               if not isinstance(content, dict) or not isinstance(content.get(key), list)]
    if missing:
        raise DataError(f"{path}: not a COCO annotation file: expected lists 'images', 'annotations' and 'categories', "
                        f"no {', '.join(missing)} found")
    return content


def choose_categories(path: str, content: Mapping[str, Any], classes: Optional[Sequence[str]]) -> Tuple[List[int], List[str]]:
    """Ids and names of the wanted categories, in the order of the file, as in MMDetection.

    Raises:
        DataError: a class that the file does not have.
    """
    categories = [(record(path, 'categories', i, item, 'id'), record(path, 'categories', i, item, 'name'))
                  for i, item in enumerate(content['categories'])]
    names = [name for _, name in categories]
    for name in classes if classes is not None else []:
        if name not in names:
            some = ', '.join(map(str, names[:10])) + (', ...' if len(names) > 10 else '')
            raise DataError(f"{path}: has no category '{name}', which the config's classes name.{did_you_mean(name, names)} "
                            f'The file has {len(names)}: {some}. Set `classes` of this dataset to names from the file')
    wanted = names if classes is None else classes
    kept = [(number, name) for number, name in categories if name in wanted]
    return [number for number, _ in kept], [name for _, name in kept]


def record(path: str, table: str, index: int, item: Any, key: str) -> Any:
    """A key that every record needs."""
    try:
        return item[key]
    except (KeyError, TypeError):
        raise DataError(f"{path}: {table}[{index}] has no '{key}'") from None


def to_columns(path: str, content: Mapping[str, Any], category_ids: Sequence[int]) -> Annotations:
    """Pictures in the order of the file, with the boxes of the wanted categories.

    Boxes are left out, as in MMDetection, if `ignore` is set, they do not touch the picture, they have no area, or a side is
    below one pixel. Crowds are ignored.
    """
    images = content['images']
    ids = [_integer(path, i, item, 'id') for i, item in enumerate(images)]
    _check_unique(path, 'images', ids)
    _check_unique(path, 'annotations', [item.get('id') if isinstance(item, dict) else None for item in content['annotations']])
    place = {number: i for i, number in enumerate(ids)}
    sizes = [(_integer(path, i, item, 'width'), _integer(path, i, item, 'height')) for i, item in enumerate(images)]
    label_of = {number: label for label, number in enumerate(category_ids)}
    pictures, boxes, labels, kinds = [], [], [], []
    for i, item in enumerate(content['annotations']):
        picture = place.get(record(path, 'annotations', i, item, 'image_id'))
        if picture is None:
            raise DataError(f"{path}: annotations[{i}] names image_id {item['image_id']}, which no picture of 'images' has")
        label = label_of.get(record(path, 'annotations', i, item, 'category_id'))
        if label is None:
            continue
        box, kind = _box(path, i, item, sizes[picture])
        pictures.append(picture)
        boxes.append(box)
        labels.append(label)
        kinds.append(kind)
    order = np.argsort(np.array(pictures, dtype=np.int64), kind='stable')
    counts = np.bincount(np.array(pictures, dtype=np.int64), minlength=len(images))
    return Annotations([record(path, 'images', i, item, 'file_name') for i, item in enumerate(images)],
                       np.array(ids, dtype=np.int64), np.array(sizes, dtype=np.int64).reshape(-1, 2),
                       np.concatenate([[0], np.cumsum(counts)]),
                       np.array(boxes, dtype=np.float32).reshape(-1, 4)[order], np.array(labels, dtype=np.int64)[order],
                       np.array(kinds, dtype=np.int8)[order])


def _check_unique(path: str, table: str, ids: Sequence[Any]) -> None:
    """No id occurs twice. Nothing needs the ids of annotations, so what is none does not count."""
    seen: Dict[Any, int] = {}
    for i, number in enumerate(ids):
        if isinstance(number, (int, str)) and seen.setdefault(number, i) != i:
            raise DataError(f'{path}: {table}[{seen[number]}] and {table}[{i}] have the same id {number}; ids must differ')


def _box(path: str, index: int, item: Mapping[str, Any], size: Tuple[int, int]) -> Tuple[Tuple[float, ...], int]:
    """Corners and kind of an annotation in a picture of this size."""
    if item.get('ignore'):
        return (0, 0, 0, 0), LEFT_OUT
    x, y, w, h = _bbox(path, index, item)
    touches = min(x + w, size[0]) > max(x, 0) and min(y + h, size[1]) > max(y, 0)
    area = item.get('area')
    if not touches or (w * h if area is None else area) <= 0 or w < 1 or h < 1:
        return (0, 0, 0, 0), LEFT_OUT
    return (x, y, x + w, y + h), IGNORED if item.get('iscrowd') else WANTED


def _integer(path: str, index: int, item: Mapping[str, Any], key: str) -> int:
    """A whole number of a picture's record; 640.0 will do."""
    value = record(path, 'images', index, item, key)
    if not isinstance(value, (int, float)) or value != int(value):
        raise DataError(f'{path}: images[{index}].{key} is {value!r}; expected a whole number')
    return int(value)


def _bbox(path: str, index: int, item: Mapping[str, Any]) -> Tuple[float, float, float, float]:
    bbox = record(path, 'annotations', index, item, 'bbox')
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in bbox):
        raise DataError(f'{path}: annotations[{index}].bbox is {bbox!r}; expected four finite numbers [x, y, width, height]')
    return tuple(bbox)
