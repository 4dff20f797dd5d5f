"""Read a COCO annotation file into columns."""
from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mmcv_need.errors import DataError, did_you_mean
from mmcv_need.serialization.json_files import read_json
from mmdet.datasets.annotations import IGNORED, LEFT_OUT, WANTED, Annotations

WHERE_COCO_GOES = ('Download COCO 2017 from https://cocodataset.org/#download and unpack it so that data/coco/ holds '
                   'annotations/, train2017/ and val2017/ (data/README.md), or say where it is: --data-root DIR')
NUMBERS = (int, float)  # what JSON's numbers become, all finite; isinstance would let true pass
LARGEST = 2 ** 53  # of whole numbers: detections carry ids as float64


def load_json(path: str, annotated: bool = True) -> Dict[str, Any]:
    """The content of a COCO annotation file.

    Args:
        path: the file.
        annotated: whether it must have annotations; those of COCO's test sets have none.

    Raises:
        DataError: missing, not JSON, or not of COCO's shape.
    """
    if not os.path.isfile(path):
        raise DataError(f'{path}: no such annotation file. {WHERE_COCO_GOES}')
    content = read_json(path)
    tables = content if isinstance(content, dict) else {}
    needed = ('images', 'annotations', 'categories') if annotated or 'annotations' in tables else ('images', 'categories')
    missing = [key for key in needed if not isinstance(tables.get(key), list)]
    if missing:
        raise DataError(f"{path}: not a COCO annotation file: expected lists 'images', 'annotations' and 'categories', "
                        f"no {', '.join(missing)} found")
    return content


def choose_categories(path: str, content: Mapping[str, Any], classes: Optional[Sequence[str]]) -> Tuple[List[int], List[str]]:
    """Ids and names of the wanted categories, in the order of the file, as in MMDetection.

    Raises:
        DataError: a class that the file does not have.
    """
    categories = [(_whole(path, 'categories', i, item, 'id'), _text(path, 'categories', i, item, 'name'))
                  for i, item in enumerate(content['categories'])]
    _check_unique(path, 'categories', [number for number, _ in categories])
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


def fault(path: str, table: str, index: int, key: str, value: Any, expected: str) -> DataError:
    """The error to raise for a value of a record."""
    return DataError(f'{path}: {table}[{index}].{key} is {value!r:.60}; expected {expected}')


def to_columns(path: str, content: Mapping[str, Any], category_ids: Sequence[int]) -> Annotations:
    """Pictures in the order of the file, with the boxes of the wanted categories.

    Boxes are left out, as in MMDetection, if `ignore` is set, they do not touch the picture, they have no area, or a side is
    below one pixel. Crowds are ignored.

    Raises:
        DataError: a record that cannot be trained on or evaluated with. Of annotations of other categories only the ids count.
    """
    images, annotations = content['images'], content.get('annotations', [])
    ids = [_whole(path, 'images', i, item, 'id') for i, item in enumerate(images)]
    _check_unique(path, 'images', ids)
    _check_unique(path, 'annotations', [item.get('id') if isinstance(item, dict) else None for item in annotations])
    place = {number: i for i, number in enumerate(ids)}
    sizes = [(_whole(path, 'images', i, item, 'width'), _whole(path, 'images', i, item, 'height'))
             for i, item in enumerate(images)]
    label_of = {number: label for label, number in enumerate(category_ids)}
    pictures, boxes, labels, kinds = [], [], [], []
    for i, item in enumerate(annotations):
        picture = place.get(_number(path, 'annotations', i, item, 'image_id'))
        if picture is None:
            raise DataError(f"{path}: annotations[{i}] names image_id {item['image_id']}, which no picture of 'images' has")
        label = label_of.get(_number(path, 'annotations', i, item, 'category_id'))
        if label is None:
            continue
        box, kind = _box(path, i, item, sizes[picture])
        pictures.append(picture)
        boxes.append(box)
        labels.append(label)
        kinds.append(kind)
    order = np.argsort(np.array(pictures, dtype=np.int64), kind='stable')
    counts = np.bincount(np.array(pictures, dtype=np.int64), minlength=len(images))
    return Annotations([_text(path, 'images', i, item, 'file_name') for i, item in enumerate(images)],
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
    """Corners and kind of an annotation in a picture of this size.

    One that is left out is checked as the others are: the metric reads it.
    """
    x, y, w, h = _bbox(path, index, item)
    ignore, crowd = _flag(path, index, item, 'ignore'), _flag(path, index, item, 'iscrowd')
    area = item.get('area')
    if area is None:
        area = w * h
    elif type(area) not in NUMBERS:
        raise fault(path, 'annotations', index, 'area', area, 'a number of pixels')
    touches = min(x + w, size[0]) > max(x, 0) and min(y + h, size[1]) > max(y, 0)
    if ignore or not touches or area <= 0 or w < 1 or h < 1:
        return (0, 0, 0, 0), LEFT_OUT
    return (x, y, x + w, y + h), IGNORED if crowd else WANTED


def _bbox(path: str, index: int, item: Mapping[str, Any]) -> Sequence[float]:
    bbox = record(path, 'annotations', index, item, 'bbox')
    if type(bbox) is not list or [type(value) in NUMBERS for value in bbox] != [True] * 4:
        raise fault(path, 'annotations', index, 'bbox', bbox, 'four numbers [x, y, width, height]')
    return bbox


def _flag(path: str, index: int, item: Mapping[str, Any], key: str) -> bool:
    """Whether something is so; without a word it is not."""
    value = item.get(key)
    if value not in (0, 1, None):
        raise fault(path, 'annotations', index, key, value, '0 or 1')
    return bool(value)


def _number(path: str, table: str, index: int, item: Any, key: str) -> float:
    value = record(path, table, index, item, key)
    if type(value) not in NUMBERS:
        raise fault(path, table, index, key, value, 'a number')
    return value


def _whole(path: str, table: str, index: int, item: Any, key: str) -> int:
    """An id or a number of pixels; 640.0 will do."""
    value = record(path, table, index, item, key)
    if type(value) not in NUMBERS or value % 1 or not 0 <= value <= LARGEST:
        raise fault(path, table, index, key, value, 'a whole number from 0 to 2^53')
    return int(value)


def _text(path: str, table: str, index: int, item: Any, key: str) -> str:
    value = record(path, table, index, item, key)
    if not isinstance(value, str):
        raise fault(path, table, index, key, value, 'text')
    return value
