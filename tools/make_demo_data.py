"""Draw a small detection dataset in COCO layout: coloured shapes on textured backgrounds, all from one seed.

    python tools/make_demo_data.py --out data/demo --train 600 --val 120 --seed 0

It is easy enough for a small SSD to learn in minutes on a CPU, and hard enough for a mistake in boxes, labels or
augmentation to show. The same seed gives the same bytes with the same library versions.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

VERSION = 1  # raise it when the pictures change, so that an older folder is not taken for a new one
CLASSES = ('circle', 'square', 'triangle', 'ring', 'cross', 'diamond')
PICTURE_SIZES = ((160, 160), (200, 150), (150, 200), (240, 180), (180, 240), (128, 128))  # width, height
MOST_OBJECTS = 8
EMPTY_SHARE = 0.05  # pictures without any object
OBJECT_SIDE = (0.12, 0.5)  # of the shorter side of the picture: 19 to 80 px at 160
MIN_VISIBLE = 0.8  # of an object, whatever is drawn over it later
MIN_CONTRAST = 90.0  # RGB distance of an object from the background under it
LOW_CONTRAST_SHARE = 0.05  # objects of any colour at all
SHIFT = 4  # fractional bits of the coordinates that cv2 draws

# corners on a square from -1 to 1, y downwards; the round shapes are drawn by draw_shape
CROSS_ARM = 0.36
CORNERS = {
    'square': [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    'triangle': [(0, -1), (1, 1), (-1, 1)],
    'diamond': [(0, -1), (1, 0), (0, 1), (-1, 0)],
    'cross': [(-CROSS_ARM, -1), (CROSS_ARM, -1), (CROSS_ARM, -CROSS_ARM), (1, -CROSS_ARM), (1, CROSS_ARM),
              (CROSS_ARM, CROSS_ARM), (CROSS_ARM, 1), (-CROSS_ARM, 1), (-CROSS_ARM, CROSS_ARM), (-1, CROSS_ARM),
              (-1, -CROSS_ARM), (-CROSS_ARM, -CROSS_ARM)],
}
MOST_TURN = math.radians(10)  # more, and a square would become a diamond


class DemoDataError(ValueError):
    """The output folder cannot be used; the message is one line."""


def draw_background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(height, width, 3) float in 0..255: a few blurred colours, now and then with stripes or a gradient, and noise."""
    cells = int(rng.integers(3, 8))
    coarse = rng.uniform(70, 190, (cells, cells, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)  # px along a random direction
    kind = rng.choice(['plain', 'plain', 'stripes', 'gradient'])
    if kind == 'stripes':
        wave = np.sin(along * (2 * math.pi / rng.uniform(8, 40)))
        picture += wave[..., None] * rng.uniform(-25, 25, 3)
    elif kind == 'gradient':
        ramp = (along - along.min()) / np.ptp(along) - 0.5
        picture += ramp[..., None] * rng.uniform(-90, 90, 3)
    return np.clip(picture + rng.normal(0, rng.uniform(3, 12), picture.shape), 0, 255)


def draw_shape(name: str, size: tuple[int, int], center: tuple[float, float], side: float, turn: float) -> np.ndarray:
    """(height, width) float coverage 0..1 of a shape `side` pixels wide; `turn` in radians."""
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    unit = 1 << SHIFT
    radius = side / 2
    middle = (round(center[0] * unit), round(center[1] * unit))
    if name in ('circle', 'ring'):
        cv2.circle(mask, middle, round(radius * unit), 255, -1, cv2.LINE_AA, SHIFT)
        if name == 'ring':
            cv2.circle(mask, middle, round(radius * 0.55 * unit), 0, -1, cv2.LINE_AA, SHIFT)
    else:
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        corners = np.array(CORNERS[name]) @ rotation.T * radius + center
        cv2.fillPoly(mask, [np.round(corners * unit).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
    return mask.astype(np.float32) / 255


def choose_color(rng: np.random.Generator, behind: np.ndarray) -> np.ndarray:
    """(3,) a colour that stands out from `behind`, the (n, 3) background pixels; rarely any colour."""
    any_will_do = rng.random() < LOW_CONTRAST_SHARE
    while True:
        color = rng.uniform(0, 255, 3)
        if any_will_do or np.linalg.norm(color - behind.mean(axis=0)) > MIN_CONTRAST:
            return color


def place_shape(rng: np.random.Generator, owner: np.ndarray, areas: list[int]) -> tuple[int, np.ndarray] | None:
    """A class and its coverage mask at a place where it hides no earlier object too much; None if none was found.

    Args:
        owner: (height, width) index of the object that each pixel shows, -1 for background.
        areas: pixels of each earlier object before anything covered it.
    """
    height, width = owner.shape
    for _ in range(20):
        label = int(rng.integers(len(CLASSES)))
        side = min(width, height) * math.exp(rng.uniform(*np.log(OBJECT_SIDE)))
        margin = side * 0.58 + 1  # half the side, and what a turn adds
        center = (rng.uniform(margin, width - margin), rng.uniform(margin, height - margin))
        mask = draw_shape(CLASSES[label], (width, height), center, side, rng.uniform(-MOST_TURN, MOST_TURN))
        uncovered = owner[mask <= 0.5]
        if all(np.count_nonzero(uncovered == k) >= MIN_VISIBLE * area for k, area in enumerate(areas)):
            return label, mask
    return None


def draw_picture(rng: np.random.Generator) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """A (height, width, 3) uint8 BGR picture, and for each object its class, visible pixels and box around them."""
    width, height = PICTURE_SIZES[rng.integers(len(PICTURE_SIZES))]
    picture = draw_background(rng, width, height)
    owner = np.full((height, width), -1)
    labels: list[int] = []
    areas: list[int] = []
    wanted = 0 if rng.random() < EMPTY_SHARE else int(rng.integers(1, MOST_OBJECTS + 1))
    for _ in range(wanted):
        placed = place_shape(rng, owner, areas)
        if placed is None:
            break
        label, mask = placed
        inside = mask > 0.5
        grain = rng.normal(0, rng.uniform(0, 8), (height, width, 1))
        paint = choose_color(rng, picture[inside]) + grain
        picture += (paint - picture) * mask[..., None]
        owner[inside] = len(labels)
        labels.append(label)
        areas.append(int(np.count_nonzero(inside)))
    objects = [describe(label, owner == k) for k, label in enumerate(labels)]
    return np.clip(np.round(picture), 0, 255).astype(np.uint8), objects


def describe(label: int, visible: np.ndarray) -> dict[str, Any]:
    """The COCO fields of one object; as in COCO, box and area are those of the visible part."""
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    box = [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]
    return {'category_id': label + 1, 'bbox': box, 'area': int(np.count_nonzero(visible)), 'iscrowd': 0}


def write_split(folder: Path, split: str, count: int, seed: list[int]) -> None:
    """Write `count` pictures and their annotation file; picture i depends on the seed and i alone, not on `count`."""
    pictures = folder / f'{split}2017'
    pictures.mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i in range(count):
        picture, objects = draw_picture(np.random.default_rng([*seed, i]))
        height, width = picture.shape[:2]
        images.append({'id': i + 1, 'file_name': f'{i + 1:012d}.jpg', 'width': width, 'height': height})
        coded = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        (pictures / images[-1]['file_name']).write_bytes(coded.tobytes())
        for fields in objects:
            annotations.append({'id': len(annotations) + 1, 'image_id': i + 1, **fields})
    categories = [{'id': k, 'name': name} for k, name in enumerate(CLASSES, 1)]
    info = {'description': 'shapes drawn by tools/make_demo_data.py', 'version': str(VERSION)}
    content = {'info': info, 'images': images, 'annotations': annotations, 'categories': categories}
    annotation_file = folder / 'annotations' / f'instances_{split}2017.json'
    annotation_file.write_text(json.dumps(content), encoding='utf-8')


def is_complete(folder: Path, stamp: dict[str, Any]) -> bool:
    """Whether `folder` holds the whole dataset of these parameters.

    Raises:
        DemoDataError: It holds something else, which is not ours to delete.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / 'demo.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        raise DemoDataError(f'{folder} exists and is not a demo dataset; choose another --out') from None
    if found != stamp:
        raise DemoDataError(f'{folder} holds a demo dataset made with {found}, not {stamp}; '
                            'delete it or choose another --out')
    for split in ('train', 'val'):
        annotated = (folder / 'annotations' / f'instances_{split}2017.json').is_file()
        if not annotated or len(list((folder / f'{split}2017').glob('*.jpg'))) != stamp[split]:
            raise DemoDataError(f'{folder}: {split} files are missing; delete the folder and run this again')
    return True


def make_dataset(folder: Path, train: int, val: int, seed: int) -> bool:
    """Write the dataset unless it is there; return whether it was. Its name appears only when it is complete."""
    folder = folder.resolve()
    stamp = {'version': VERSION, 'train': train, 'val': val, 'seed': seed}
    if is_complete(folder, stamp):
        return False
    partial = folder.with_name(f'{folder.name}.partial-{os.getpid()}')
    (partial / 'annotations').mkdir(parents=True)
    try:
        write_split(partial, 'train', train, [seed, 0])
        write_split(partial, 'val', val, [seed, 1])
        (partial / 'demo.json').write_text(json.dumps(stamp), encoding='utf-8')
        try:
            partial.replace(folder)
        except OSError:  # another process may have finished the same dataset meanwhile
            if is_complete(folder, stamp):
                return False
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def whole_number(least: int):
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f'expected a whole number of {least} or more, got {text!r}')
        return int(text)
    return parse


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('data/demo'), help='folder to make (default: %(default)s)')
    parser.add_argument('--train', type=whole_number(1), default=600, help='training pictures (default: %(default)s)')
    parser.add_argument('--val', type=whole_number(1), default=120, help='held-out pictures (default: %(default)s)')
    parser.add_argument('--seed', type=whole_number(0), default=0, help='(default: %(default)s)')
    given = parser.parse_args(arguments)
    try:
        written = make_dataset(given.out, given.train, given.val, given.seed)
    except (DemoDataError, OSError) as error:
        print(f'make_demo_data.py: {error}', file=sys.stderr)
        return 2
    state = 'written' if written else 'already there, nothing to do'
    print(f'{given.out}: {given.train} training and {given.val} held-out pictures of {len(CLASSES)} shapes, {state}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
