"""Annotation files as large as those of COCO's train2017 and of Objects365, made up."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Iterator, List

import numpy as np

NUM_CLASSES = 80
AT_A_TIME = 20_000  # records
IMAGE = ('{"license": 4,"file_name": "%012d.jpg","coco_url": "http://images.cocodataset.org/train2017/%012d.jpg","height": %d,'
         '"width": %d,"date_captured": "2013-11-14 11:18:45","flickr_url": '
         '"http://farm9.staticflickr.com/8186/8119368305_4e622c8349_z.jpg","id": %d}')
BOX = '{%s"area": %.4f,"iscrowd": %d,"image_id": %d,"bbox": [%s,%s,%s,%s],"category_id": %d,"id": %d}'


def write_annotations(path: Path, pictures: int, boxes: int, polygons: bool = False, seed: int = 0) -> None:
    """A COCO file of this size; with a polygon for each box it is as long as COCO's own, else a fifth of that."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(200, 641, (pictures, 2))
    with open(path, 'w', encoding='utf-8') as file:
        file.write('{"info": {"year": 2017},"images": [')
        file.writelines(_joined(range(0, pictures, AT_A_TIME), lambda start: [
            IMAGE % (i + 1, i + 1, height, width, i + 1)
            for i, (width, height) in enumerate(sizes[start:start + AT_A_TIME].tolist(), start)]))
        file.write('],"annotations": [')
        file.writelines(_joined(range(0, boxes, AT_A_TIME), lambda start: _boxes(
            rng, sizes, start, min(AT_A_TIME, boxes - start), polygons)))
        categories = [{'id': i, 'name': f'class {i}'} for i in range(1, NUM_CLASSES + 1)]
        file.write(f'],"categories": {json.dumps(categories)}}}')


def _joined(starts: range, records_from: Callable[[int], List[str]]) -> Iterator[str]:
    for start in starts:
        yield (',' if start else '') + ','.join(records_from(start))


def _boxes(rng: np.random.Generator, sizes: np.ndarray, start: int, count: int, polygons: bool) -> List[str]:
    picture = rng.integers(0, len(sizes), count)
    corners = (rng.random((count, 2)) * sizes[picture] * 0.7).round(2)
    sides = (rng.random((count, 2)) * sizes[picture] * 0.3 + 1).round(2)
    areas, crowds = sides.prod(axis=1) * 0.6, rng.random(count) < 0.01
    labels = rng.integers(1, NUM_CLASSES + 1, count)
    outlines = [''] * count
    if polygons:
        lengths = 2 * rng.integers(8, 40, count)
        points = (rng.random(int(lengths.sum())) * 400).round(2)
        outlines = [f'"segmentation": [[{", ".join(map(str, part.tolist()))}]],'
                    for part in np.split(points, np.cumsum(lengths)[:-1])]
    columns = zip(outlines, areas.tolist(), crowds.tolist(), (picture + 1).tolist(), corners.tolist(), sides.tolist(),
                  labels.tolist())
    return [BOX % (outline, area, crowd, number, *corner, *side, label, start + i)
            for i, (outline, area, crowd, number, corner, side, label) in enumerate(columns, 1)]
