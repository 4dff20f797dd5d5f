"""Single records of a COCO annotation file: what each value has to be, and what is said where it is something else."""
from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence, Tuple

from mmcv_need.errors import DataError

NUMBERS = (int, float)  # what JSON's numbers become, all finite; isinstance would let true pass
LARGEST = 2 ** 53  # of whole numbers: detections carry ids as float64


def record(path: str, table: str, index: int, item: Any, key: str) -> Any:
    """A key that every record needs."""
    try:
        return item[key]
    except (KeyError, TypeError):
        raise DataError(f"{path}: {table}[{index}] has no '{key}'") from None


def fault(path: str, table: str, index: int, key: str, value: Any, expected: str) -> DataError:
    """The error to raise for a value of a record."""
    return DataError(f'{path}: {table}[{index}].{key} is {value!r:.60}; expected {expected}')


def same_id(path: str, table: str, first: int, second: int, number: Any) -> DataError:
    """The error to raise for two records."""
    return DataError(f'{path}: {table}[{first}] and {table}[{second}] have the same id {number}; ids must differ')


def check_unique(path: str, table: str, ids: Sequence[Any]) -> None:
    """No id occurs twice. Nothing needs the ids of annotations, so what is none does not count."""
    seen: Dict[Any, int] = {}
    for i, number in enumerate(ids):
        if isinstance(number, (int, str)) and seen.setdefault(number, i) != i:
            raise same_id(path, table, seen[number], i, number)


def box(path: str, index: int, item: Mapping[str, Any]) -> Tuple[Sequence[float], float, bool, bool]:
    """x, y, width and height of an annotation, its area, whether it is a crowd, and whether it is to be ignored."""
    bbox = bbox_of(path, index, item)
    ignore, crowd = flag(path, index, item, 'ignore'), flag(path, index, item, 'iscrowd')
    area = item.get('area')
    if area is None:
        area = bbox[2] * bbox[3]
    elif type(area) not in NUMBERS:
        raise fault(path, 'annotations', index, 'area', area, 'a number of pixels')
    return bbox, area, crowd, ignore


def bbox_of(path: str, index: int, item: Mapping[str, Any]) -> Sequence[float]:
    bbox = record(path, 'annotations', index, item, 'bbox')
    if type(bbox) is not list or [type(value) in NUMBERS for value in bbox] != [True] * 4:
        raise fault(path, 'annotations', index, 'bbox', bbox, 'four numbers [x, y, width, height]')
    return bbox


def flag(path: str, index: int, item: Mapping[str, Any], key: str) -> bool:
    """Whether something is so; without a word it is not."""
    value = item.get(key)
    if value not in (0, 1, None):
        raise fault(path, 'annotations', index, key, value, '0 or 1')
    return bool(value)


def number(path: str, table: str, index: int, item: Any, key: str) -> float:
    value = record(path, table, index, item, key)
    if type(value) not in NUMBERS:
        raise fault(path, table, index, key, value, 'a number')
    return value


def whole(path: str, table: str, index: int, item: Any, key: str) -> int:
    """An id or a number of pixels; 640.0 will do."""
    value = record(path, table, index, item, key)
    if type(value) not in NUMBERS or value % 1 or not 0 <= value <= LARGEST:
        raise fault(path, table, index, key, value, 'a whole number from 0 to 2^53')
    return int(value)


def text(path: str, table: str, index: int, item: Any, key: str) -> str:
    value = record(path, table, index, item, key)
    if not isinstance(value, str):
        raise fault(path, table, index, key, value, 'text')
    return value
