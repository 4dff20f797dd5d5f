"""What a COCO annotation file holds, whatever classes are wanted of it, as columns."""
from __future__ import annotations

import gc
from contextlib import contextmanager
from itertools import chain
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from mmcv_need.errors import DataError
from mmdet.datasets import coco_records as records
from mmdet.datasets.annotations import IGNORED, LEFT_OUT, WANTED, Annotations, Columns, ends, text_columns
from mmdet.datasets.json_tables import Piece

NUMBERS = set(records.NUMBERS)
FLAGS = {0, 1, None}


class CocoTable(NamedTuple):
    """Fields:
        columns: pictures in the order of the file, with all their boxes; `labels` are indices of categories, -1 for an id that
            no category has.
        xywh: (B, 4) float64 as in the file, for the metric.
        areas: (B,) float64.
        crowds: (B,) bool.
        categories: the records of the file.
        annotated: whether the file has annotations, be it none.
        faults: index of its category -> what is wrong with the first record of it that has a fault.
    """
    columns: Columns
    xywh: np.ndarray
    areas: np.ndarray
    crowds: np.ndarray
    categories: List[Any]
    annotated: bool
    faults: Dict[int, str]


class Images(NamedTuple):
    """Of some records: (n, 3) float64 id, width, height; names in one, and where they end."""
    numbers: np.ndarray
    names: np.ndarray
    name_ends: np.ndarray


class Boxes(NamedTuple):
    """Of some records: (n,) float64 image and category ids, (n, 4) x y width height, (n,) areas, crowd and ignore flags, and
    (n,) int64 ids of their own, or a list of whatever they are."""
    images: np.ndarray
    categories: np.ndarray
    xywh: np.ndarray
    areas: np.ndarray
    crowds: np.ndarray
    ignored: np.ndarray
    ids: Any


def build_table(path: str, content: Iterable[Piece]) -> CocoTable:
    """The table of a file whose object is given in pieces.

    Raises:
        DataError: a record that cannot be used at all; one that only its category cannot be used for is among the faults.
    """
    lists: Dict[str, List[Any]] = {}
    faults: Dict[float, str] = {}  # by id of the category
    readers: Dict[str, Callable[[int, List[Any]], Any]] = {
        'images': lambda start, rows: _images(path, start, rows),
        'annotations': lambda start, rows: _boxes(path, start, rows, faults), 'categories': lambda start, rows: rows}
    with no_collection():
        for key, start, rows in content:
            if key in readers:
                if not start:  # the value, or the first piece; a key that occurs again counts instead
                    lists.pop(key, None)
                if start is not None:
                    lists.setdefault(key, []).append(readers[key](start, rows))
    return _joined(path, lists, faults)


def annotations_of(table: CocoTable, category_ids: Sequence[int]) -> Annotations:
    """All pictures, with the boxes of these categories, whose labels are their places.

    Raises:
        DataError: one of them has a record with a fault.
    """
    label_of = {number: label for label, number in enumerate(category_ids)}
    labels = [label_of.get(category['id'], -1) for category in table.categories]
    faults = [text for index, text in sorted(table.faults.items()) if labels[index] >= 0]
    if faults:
        raise DataError(faults[0])
    return Annotations(table.columns, np.array([*labels, -1], dtype=np.int64))  # -1, a category that is not known, is last


def corners_of(table: CocoTable) -> np.ndarray:
    """(B, 4) float64 x1, y1, x2, y2 of all boxes as the file has them."""
    with np.errstate(over='ignore', invalid='ignore'):
        return np.concatenate([table.xywh[:, :2], table.xywh[:, :2] + table.xywh[:, 2:]], axis=1)


def content_of(table: CocoTable, used: np.ndarray) -> Dict[str, Any]:
    """The file's content, as far as a metric needs it. `used`: (B,) bool, which boxes count."""
    ids = table.columns.ids.tolist()
    numbers = [category['id'] for category in table.categories] + [None]
    boxes = zip(np.repeat(ids, np.diff(table.columns.first)).tolist(), table.columns.labels.tolist(), table.xywh.tolist(),
                table.areas.tolist(), table.crowds.tolist())
    return {'images': [{'id': number, 'width': width, 'height': height}
                       for number, (width, height) in zip(ids, table.columns.sizes.tolist())],
            'annotations': [{'image_id': number, 'category_id': numbers[category], 'bbox': bbox, 'area': area, 'iscrowd': crowd}
                            for (number, category, bbox, area, crowd), counts in zip(boxes, used.tolist()) if counts],
            'categories': table.categories}


@contextmanager
def no_collection() -> Iterator[None]:
    """Without Python's search for cycles: JSON has none, and makes many objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _images(path: str, start: int, rows: List[Any]) -> Images:
    try:
        numbers = _numbers(rows, ('id', 'width', 'height'))
        names = [row['file_name'] for row in rows]
        whole = (numbers % 1 == 0) & (numbers >= 0) & (numbers <= records.LARGEST)
        sound = whole.all() and set(map(type, names)) <= {str}
    except (KeyError, TypeError):
        sound = False
    if not sound:  # one by one, to say which it is
        numbers = np.array([[records.whole(path, 'images', i, row, key) for key in ('id', 'width', 'height')]
                            for i, row in enumerate(rows, start)], dtype=np.float64)
        names = [records.text(path, 'images', i, row, 'file_name') for i, row in enumerate(rows, start)]
    return Images(numbers, *text_columns(names))


def _boxes(path: str, start: int, rows: List[Any], faults: Dict[float, str]) -> Boxes:
    """Records of annotations. A fault that concerns a category only is noted, and its box counts as ignored."""
    try:
        of = _numbers(rows, ('image_id', 'category_id'))
        found = _all_boxes(rows)
    except (KeyError, TypeError, ValueError, OverflowError):
        of = np.array([[records.number(path, 'annotations', i, row, key) for key in ('image_id', 'category_id')]
                       for i, row in enumerate(rows, start)], dtype=np.float64)
        found = _boxes_one_by_one(path, start, rows, of[:, 1].tolist(), faults)
    ids = [row.get('id') for row in rows]
    try:
        own = np.array(ids, dtype=np.int64) if set(map(type, ids)) <= {int} else ids
    except OverflowError:
        own = ids
    return Boxes(of[:, 0], of[:, 1], *found, own)


def _numbers(rows: Sequence[Any], keys: Sequence[str]) -> np.ndarray:
    """(n, k) float64. Raises TypeError if one is no number."""
    columns = [[row[key] for row in rows] for key in keys]
    if not set(map(type, chain.from_iterable(columns))) <= NUMBERS:
        raise TypeError('not all are numbers')
    return np.array(columns, dtype=np.float64).T.reshape(-1, len(keys))


def _all_boxes(rows: Sequence[Any]) -> Tuple[np.ndarray, ...]:
    """x y width height, areas, crowd and ignore flags. Raises whatever comes of a record that is not as it should be."""
    bboxes, areas = [row['bbox'] for row in rows], [row.get('area') for row in rows]
    flags = [[row.get(key) for row in rows] for key in ('iscrowd', 'ignore')]
    flat = list(chain.from_iterable(bboxes))
    if not (set(map(type, bboxes)) <= {list} and set(map(len, bboxes)) <= {4} and set(map(type, flat)) <= NUMBERS
            and set(map(type, areas)) <= NUMBERS | {type(None)} and all(set(values) <= FLAGS for values in flags)):
        raise TypeError('not all are as they should be')
    xywh = np.array(flat, dtype=np.float64).reshape(-1, 4)
    area = np.array([np.nan if value is None else value for value in areas], dtype=np.float64)
    crowds, ignored = (np.array([bool(value) for value in values], dtype=bool) for values in flags)
    with np.errstate(over='ignore'):  # no box is so large, which is said later
        return xywh, np.where(np.isnan(area), xywh[:, 2] * xywh[:, 3], area), crowds, ignored


def _boxes_one_by_one(path: str, start: int, rows: Sequence[Any], categories: Sequence[float],
                      faults: Dict[float, str]) -> Tuple[np.ndarray, ...]:
    found = []
    for i, (row, category) in enumerate(zip(rows, categories), start):
        try:
            found.append(records.box(path, i, row))
        except DataError as error:
            faults.setdefault(category, str(error))
            found.append(([0.0] * 4, 0.0, False, True))
    xywh, areas, crowds, ignored = zip(*found)
    return np.array(xywh, dtype=np.float64), np.array(areas, dtype=np.float64), np.array(crowds), np.array(ignored)


def _joined(path: str, lists: Dict[str, List[Any]], faults: Dict[float, str]) -> CocoTable:
    """The table of what was read of images, annotations and categories."""
    images, boxes = _joined_images(lists['images']), _joined_boxes(lists.get('annotations', []))
    numbers = images.numbers.astype(np.int64)
    ids, sizes = numbers[:, 0].copy(), numbers[:, 1:].copy()
    _check_unique(path, 'images', ids)
    _check_unique(path, 'annotations', boxes.ids)
    pictures = _places(ids, boxes.images)
    strange = np.flatnonzero(pictures < 0)
    if len(strange):
        number = f'{boxes.images[strange[0]]:.17g}'
        raise DataError(f"{path}: annotations[{strange[0]}] names image_id {number}, which no picture of 'images' has")
    categories = list(chain.from_iterable(lists['categories']))
    numbered = np.array([float(item['id']) if isinstance(item, dict) and type(item.get('id')) in NUMBERS else np.nan
                         for item in categories], dtype=np.float64)
    labels = _places(numbered, boxes.categories).astype(np.int32)
    kinds = _kinds(boxes, sizes[pictures])
    x, y, width, height = boxes.xywh.T
    with np.errstate(over='ignore'):
        corners = np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)
    corners[kinds == LEFT_OUT] = 0
    order = np.argsort(pictures, kind='stable')
    columns = Columns(images.names, images.name_ends, ids, sizes, ends(np.bincount(pictures, minlength=len(ids))),
                      corners[order], labels[order], kinds[order])
    known = {float(number): index for index, number in enumerate(numbered.tolist())}
    return CocoTable(columns, boxes.xywh[order], boxes.areas[order], boxes.crowds[order], categories, 'annotations' in lists,
                     {known[number]: text for number, text in faults.items() if number in known})


def _kinds(boxes: Boxes, sizes: np.ndarray) -> np.ndarray:
    """(B,) int8. Left out, as in MMDetection, are boxes to be ignored, beside the picture, without area, or with a side below
    one pixel; crowds are ignored. `sizes`: (B, 2) of the picture of each."""
    x, y, width, height = boxes.xywh.T
    touches = np.minimum(x + width, sizes[:, 0]) > np.maximum(x, 0)
    touches &= np.minimum(y + height, sizes[:, 1]) > np.maximum(y, 0)
    left_out = boxes.ignored | ~touches | (boxes.areas <= 0) | (width < 1) | (height < 1)
    return np.where(left_out, LEFT_OUT, np.where(boxes.crowds, IGNORED, WANTED)).astype(np.int8)


def _joined_images(parts: Sequence[Images]) -> Images:
    numbers, names, name_ends = zip(*parts)
    return Images(np.concatenate(numbers), np.concatenate(names), ends(np.concatenate(list(map(np.diff, name_ends)))))


def _joined_boxes(parts: Sequence[Boxes]) -> Boxes:
    none = Boxes(*np.zeros((2, 0)), np.zeros((0, 4)), np.zeros(0), *np.zeros((2, 0), bool), np.zeros(0, np.int64))
    *columns, ids = zip(*(parts or [none]))
    same = all(isinstance(own, np.ndarray) for own in ids)
    return Boxes(*map(np.concatenate, columns), np.concatenate(ids) if same else list(chain.from_iterable(map(list, ids))))


def _check_unique(path: str, table: str, ids: Any) -> None:
    """No id occurs twice; which do is looked for one by one."""
    if isinstance(ids, list) or ((np.diff(ids) <= 0).any() and len(np.unique(ids)) < len(ids)):
        records.check_unique(path, table, ids if isinstance(ids, list) else ids.tolist())


def _places(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(n,) int64 index of each wanted number among the known ones, the last that is equal; -1 if there is none."""
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known, kind='stable')
    place = (np.searchsorted(known[order], wanted, side='right') - 1).clip(0)
    found = order[place]
    return np.where(known[found] == wanted, found, -1)
