"""COCO annotation files, written from what converters have read."""
from __future__ import annotations

import os
import sys
from typing import Any, Callable, Dict, Iterable, List, Sequence

import orjson

from mmcv_need.errors import DataError, UserError
from mmcv_need.serialization.atomic_files import written_atomically
from mmdet.datasets.annotations import IGNORED, Picture
from mmdet.datasets.pictures import usable

SHOWN = 20  # defects that are printed before the rest is counted


def read_all(records: Iterable[Callable[[], Picture]], skip_bad: bool) -> List[Picture]:
    """The pictures of records, each of which is read by a call; a line on stderr for each that cannot be used.

    Raises:
        DataError: there are such, and they are not to be skipped.
    """
    pictures, defects = usable(records, 'skip')
    for defect in defects[:None if skip_bad else SHOWN]:
        print(f"{'left out' if skip_bad else 'error'}: {defect.message}", file=sys.stderr)
    if defects and not skip_bad:
        more = f', of which the first {SHOWN} are listed' if len(defects) > SHOWN else ''
        raise DataError(f'{len(defects)} of {len(defects) + len(pictures)} pictures cannot be used{more}; nothing was written. '
                        f'Mend them, or leave them out with --skip-bad')
    return pictures


def check_box(where: str, box: Sequence[float], size: Sequence[int]) -> None:
    """A box x1, y1, x2, y2 has an area, some of it in a picture of (width, height).

    Raises:
        DataError: it has not.
    """
    x1, y1, x2, y2 = box
    empty = x2 <= x1 or y2 <= y1
    if empty or x1 >= size[0] or y1 >= size[1] or min(x2, y2) <= 0:
        raise DataError(f'{where}: box [{x1:g}, {y1:g}, {x2:g}, {y2:g}] (x1 y1 x2 y2, from 0 on) in a picture of {size[0]} x '
                        f"{size[1]} pixels {'has no area' if empty else 'lies beside it'}")


def coco_content(pictures: Sequence[Picture], classes: Sequence[str]) -> Dict[str, Any]:
    """What the file of some pictures holds.

    Ids of pictures and classes count from 0 and ignored boxes are crowds, as in MMDetection's files. Ids of boxes count from 1:
    to COCO's evaluation 0 means that nothing was matched.

    Raises:
        DataError: a picture occurs twice.
    """
    images: List[Dict[str, Any]] = []
    annotations: List[Dict[str, Any]] = []
    seen = set()
    for number, picture in enumerate(pictures):
        if picture.file_name in seen:
            raise DataError(f'{picture.file_name}: the picture occurs twice')
        seen.add(picture.file_name)
        images.append({'id': number, 'file_name': picture.file_name, 'width': picture.size[0], 'height': picture.size[1]})
        boxes = sorted(zip(picture.bboxes, picture.labels, picture.kinds), key=lambda entry: entry[2])  # ignored ones last
        for (x1, y1, x2, y2), label, kind in boxes:
            width, height = x2 - x1, y2 - y1
            annotations.append({'id': len(annotations) + 1, 'image_id': number, 'category_id': label,
                                'bbox': [x1, y1, width, height], 'area': width * height, 'iscrowd': int(kind == IGNORED),
                                'ignore': 0, 'segmentation': [[x1, y1, x1, y2, x2, y2, x2, y1]]})
    categories = [{'id': label, 'name': name, 'supercategory': 'none'} for label, name in enumerate(classes)]
    return {'images': images, 'type': 'instance', 'categories': categories, 'annotations': annotations}


def check_new(paths: Sequence[str]) -> None:
    """None of these files is there yet.

    Raises:
        UserError: one is.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        raise UserError(f"{there[0]}: is there already, and may be someone's work; remove it, or write elsewhere")


def write_coco(path: str, content: Dict[str, Any]) -> None:
    """Write a file that is not there yet, whole or not at all, and say so.

    Raises:
        UserError: it is there.
        OSError: it cannot be written.
    """
    check_new([path])
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with written_atomically(path) as file:
        file.write(orjson.dumps(content))
    counts = [len(content[table]) for table in ('images', 'annotations', 'categories')]
    print(f'{path}: {counts[0]} pictures, {counts[1]} boxes, {counts[2]} classes')
