"""The converters, and a COCO file to make others from."""
from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmdet.datasets.coco import CocoDataset

CLASSES = ('cat', 'dog', 'person')  # names of VOC, too
SIZES = {'a.jpg': (64, 48), 'b.png': (50, 80), 'c.jpg': (40, 40)}
# picture, class, x, y, width, height, crowd
BOXES = [('a.jpg', 0, 4, 6, 20, 30, 0), ('a.jpg', 2, 0, 0, 64, 48, 0), ('b.png', 1, 10, 5, 25, 60, 1),
         ('b.png', 1, 1, 2, 3, 4, 0)]


@pytest.fixture(scope='session')
def converters(load_file):
    """converters.yolo(...), .pascal_voc(...), .images2coco(...): the command lines."""
    found = {}
    for name in ('yolo', 'pascal_voc', 'images2coco'):
        module = load_file(f'tools/dataset_converters/{name}.py')
        found[name] = lambda *words, main=module.main: main([str(word) for word in words])
    return SimpleNamespace(**found)


@pytest.fixture
def draw():
    """Writes a picture of a size (width, height)."""
    def write(path, size):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        cv2.imwrite(str(path), picture)
        return path
    return write


@pytest.fixture
def source():
    return SimpleNamespace(classes=CLASSES, sizes=SIZES, boxes=BOXES)


@pytest.fixture
def boxes_in():
    """What a COCO file holds: (picture without its folder, class, x, y, width, height, crowd), sorted; all ids are checked."""
    def read(path):
        content = json.loads(Path(path).read_text())
        names = {image['id']: Path(image['file_name']).name for image in content['images']}
        classes = [category['name'] for category in content['categories']]
        ids = [item['id'] for item in content['annotations']]
        assert ids == list(range(1, len(ids) + 1)) and [image['id'] for image in content['images']] == list(range(len(names)))
        assert all(item['area'] == pytest.approx(item['bbox'][2] * item['bbox'][3]) for item in content['annotations'])
        return sorted((names[item['image_id']], classes[item['category_id']], *(round(value, 3) for value in item['bbox']),
                       item['iscrowd']) for item in content['annotations'])
    return read


@pytest.fixture
def open_dataset():
    """A CocoDataset over a converted file."""
    def make(path, prefix, **options):
        return CocoDataset(str(path), [], img_prefix=str(prefix), **options)
    return make
