"""Pictures like COCO's, drawn once from a seed: about 640 x 480, 150 to 200 KB, with detail like a photograph's.

What a JPEG costs to decode is mostly its bytes, so that these cost what photographs of that size do; see `draw`.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np
import orjson

SIZES = ((640, 480), (640, 427), (480, 640), (640, 360), (500, 375), (427, 640))  # COCO's most frequent ones
NUM_CLASSES = 80
ANNOTATIONS, FOLDER = 'annotations/instances_train2017.json', 'train2017'


def has_pictures(folder: Path) -> bool:
    return (folder / ANNOTATIONS).is_file() and (folder / FOLDER).is_dir()


def make_pictures(folder: Path, count: int, seed: int = 0) -> None:
    """Write `count` pictures with about 7 boxes each, as COCO has them, in its layout."""
    rng = np.random.default_rng(seed)
    (folder / FOLDER).mkdir(parents=True)
    (folder / ANNOTATIONS).parent.mkdir(parents=True)
    images: List[Dict[str, Any]] = []
    annotations: List[Dict[str, Any]] = []
    for number in range(1, count + 1):
        size = SIZES[rng.integers(len(SIZES))]
        boxes = random_boxes(rng, size, 1 + rng.poisson(6))
        name = f'{number:012d}.jpg'
        (folder / FOLDER / name).write_bytes(encode(draw(rng, size, boxes), target=int(rng.uniform(140_000, 200_000))))
        images.append({'id': number, 'file_name': name, 'width': size[0], 'height': size[1]})
        for box in boxes.round(2).tolist():
            annotations.append(annotation(len(annotations) + 1, number, int(rng.integers(NUM_CLASSES)), box))
    write_content(folder / ANNOTATIONS, images, annotations)


def annotation(number: int, picture: int, label: int, box: Sequence[float], crowd: bool = False) -> Dict[str, Any]:
    """A record of a COCO file, of a box x1, y1, x2, y2."""
    x1, y1, x2, y2 = box
    return {'id': number, 'image_id': picture, 'category_id': label + 1, 'bbox': [x1, y1, x2 - x1, y2 - y1],
            'area': (x2 - x1) * (y2 - y1), 'iscrowd': int(crowd)}


def write_content(path: Path, images: List[Dict[str, Any]], annotations: List[Dict[str, Any]]) -> None:
    """A COCO file of these records, with NUM_CLASSES categories."""
    categories = [{'id': number + 1, 'name': f'class {number + 1}'} for number in range(NUM_CLASSES)]
    path.write_bytes(orjson.dumps({'images': images, 'annotations': annotations, 'categories': categories}))


def random_boxes(rng: np.random.Generator, size: Tuple[int, int], count: int) -> np.ndarray:
    """(n, 4) x1, y1, x2, y2 inside a picture (width, height): many small ones and few large ones, as in COCO."""
    width, height = size
    sides = np.exp(rng.uniform(np.log(0.04), np.log(0.9), (count, 1))) * np.exp(rng.normal(0, 0.3, (count, 2)))
    sides = sides.clip(0.03, 0.95) * (width, height)
    corner = rng.uniform(0, 1, (count, 2)) * ((width, height) - sides)
    return np.concatenate([corner, corner + sides], axis=1)


def draw(rng: np.random.Generator, size: Tuple[int, int], boxes: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8: noise at all scales, each with the strength that photographs have there, and a shape in each box."""
    width, height = size
    picture = np.full((height, width, 3), 128.0, np.float32)
    for scale in (128, 64, 32, 16, 8, 4, 2, 1):
        grid = rng.normal(0, 1, (height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        picture += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC) * (4.0 + 1.6 * scale ** 0.6)
    for x1, y1, x2, y2 in boxes.astype(int).tolist():
        colour, centre = rng.uniform(0, 255, 3), ((x1 + x2) // 2, (y1 + y2) // 2)
        shape = np.zeros((height, width), np.uint8)
        cv2.ellipse(shape, centre, (max((x2 - x1) // 2, 1), max((y2 - y1) // 2, 1)), 0, 0, 360, 255, -1)
        picture[shape > 0] = 0.4 * picture[shape > 0] + 0.6 * colour
    return picture.clip(0, 255).astype(np.uint8)


def encode(picture: np.ndarray, target: int) -> bytes:
    """JPEG of about `target` bytes; the quality is looked for."""
    low, high = 30, 100
    while high - low > 1:
        quality = (low + high) // 2
        data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        low, high = (quality, high) if len(data) < target else (low, quality)
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, low])[1].tobytes()
