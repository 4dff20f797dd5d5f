"""The records of a COCO annotation file that can be used, told from those that cannot."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from mmcv_need.errors import DataError
from mmdet.datasets import coco_records as records
from mmdet.datasets.defects import Defect

Check = Callable[[int, Any], Any]  # of a record and its place: its id; or DataError


def sound_records(path: str, content: Any) -> Tuple[Any, List[Defect]]:
    """The content of a file without the pictures and boxes that cannot be used, and what is wrong with each of those.

    Categories stay as they are: without one of them, labels would mean something else.

    Args:
        path: for messages.
        content: of the file, whatever that is.
    """
    if not isinstance(content, dict):
        return content, []
    defects: List[Defect] = []
    known: Dict[Any, int] = {}
    sound = dict(content)
    if isinstance(content.get('images'), list):
        sound['images'] = _kept(path, 'images', content['images'], lambda i, item: _picture(path, i, item), known, defects)
    if isinstance(content.get('annotations'), list):
        sound['annotations'] = _kept(path, 'annotations', content['annotations'],
                                     lambda i, item: _box(path, i, item, known), {}, defects)
    return sound, defects


def _kept(path: str, table: str, items: List[Any], check: Check, seen: Dict[Any, int], defects: List[Defect]) -> List[Any]:
    """The records that can be used; their ids go into `seen`, what is wrong with the others into `defects`."""
    kept = []
    for i, item in enumerate(items):
        try:
            number = check(i, item)
            if number is not None and seen.setdefault(number, i) != i:
                raise records.same_id(path, table, seen[number], i, number)
            kept.append(item)
        except DataError as error:
            defects.append(Defect('record that cannot be used', str(error)))
    return kept


def _picture(path: str, index: int, item: Any) -> int:
    for side in ('width', 'height'):
        records.whole(path, 'images', index, item, side)
    records.text(path, 'images', index, item, 'file_name')
    return records.whole(path, 'images', index, item, 'id')


def _box(path: str, index: int, item: Any, pictures: Dict[Any, int]) -> Any:
    """The record's own id; None where it has none, which is no fault."""
    picture = records.number(path, 'annotations', index, item, 'image_id')
    records.number(path, 'annotations', index, item, 'category_id')
    records.box(path, index, item)
    if picture not in pictures:
        raise DataError(f"{path}: annotations[{index}] names image_id {picture:.17g}, which no picture of 'images' has")
    number = item.get('id')
    return number if isinstance(number, (int, str)) else None
