"""Read a COCO annotation file: its table, and which categories of it are wanted."""
from __future__ import annotations

import os
from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple

from mmcv_need.errors import DataError, did_you_mean
from mmcv_need.serialization.json_files import read_json
from mmdet.datasets.annotation_store import stored
from mmdet.datasets.coco_records import check_unique, text, whole
from mmdet.datasets.coco_sound import sound_records
from mmdet.datasets.coco_table import CocoTable, build_table
from mmdet.datasets.defects import Defect
from mmdet.datasets.json_tables import Piece, Unreadable, pieces

WHERE_COCO_GOES = ('Download COCO 2017 from https://cocodataset.org/#download and unpack it so that data/coco/ holds '
                   'annotations/, train2017/ and val2017/ (data/README.md), or say where it is: --data-root DIR')
TABLES = ('images', 'annotations', 'categories')


def read_table(path: str, annotated: bool = True) -> CocoTable:
    """The table of a COCO annotation file, from the store beside it if there is one (annotation_store.py).

    Args:
        path: the file.
        annotated: whether it must have annotations; those of COCO's test sets have none.

    Raises:
        DataError: missing, not JSON, not of COCO's shape, or a record that cannot be used.
    """
    if not os.path.isfile(path):
        raise DataError(f'{path}: no such annotation file. {WHERE_COCO_GOES}')
    table = stored(path, parse)
    if annotated and not table.annotated:
        _require(path, [name for name in TABLES if name != 'annotations'])
    return table


def sound_table(path: str, annotated: bool = True) -> Tuple[CocoTable, List[Defect]]:
    """The table of the records that can be used, and what is wrong with the others.

    Raises:
        DataError: missing, not JSON, or not of COCO's shape.
    """
    try:
        table = read_table(path, annotated)
        if not table.faults:
            return table, []
    except DataError:
        if not os.path.isfile(path):
            raise
    content, skipped = sound_records(path, read_json(path))
    return build_table(path, _checked(path, _whole_pieces(content))), skipped


def parse(path: str) -> CocoTable:
    """The table, from the JSON itself. What cannot be read piece by piece is read as a whole, which says what is wrong."""
    try:
        return build_table(path, _checked(path, pieces(path)))
    except (Unreadable, OSError):
        return build_table(path, _checked(path, _whole_pieces(read_json(path))))


def _whole_pieces(content: Any) -> List[Piece]:
    tables = content if isinstance(content, dict) else {}
    return [Piece(key, 0 if isinstance(value, list) else None, value) for key, value in tables.items()]


def _checked(path: str, content: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces; at their end it is an error if a table was missing."""
    found = {}
    for piece in content:
        found[piece.key] = piece.start is not None
        yield piece
    _require(path, [name for name in TABLES if found.get(name) or (name == 'annotations' and name not in found)])


def _require(path: str, found: Sequence[str]) -> None:
    missing = [name for name in TABLES if name not in found]
    if missing:
        raise DataError(f"{path}: not a COCO annotation file: expected lists 'images', 'annotations' and 'categories', "
                        f"no {', '.join(missing)} found")


def choose_categories(path: str, records: Sequence[Any], classes: Optional[Sequence[str]]) -> Tuple[List[int], List[str]]:
    """Ids and names of the wanted categories, in the order of the file, as in MMDetection.

    Raises:
        DataError: a class that the file does not have.
    """
    categories = [(whole(path, 'categories', i, item, 'id'), text(path, 'categories', i, item, 'name'))
                  for i, item in enumerate(records)]
    check_unique(path, 'categories', [number for number, _ in categories])
    names = [name for _, name in categories]
    for name in classes if classes is not None else []:
        if name not in names:
            some = ', '.join(map(str, names[:10])) + (', ...' if len(names) > 10 else '')
            raise DataError(f"{path}: has no category '{name}', which the config's classes name.{did_you_mean(name, names)} "
                            f'The file has {len(names)}: {some}. Set `classes` of this dataset to names from the file')
    wanted = names if classes is None else classes
    kept = [(number, name) for number, name in categories if name in wanted]
    return [number for number, _ in kept], [name for _, name in kept]
