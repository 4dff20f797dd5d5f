"""What can be wrong with annotations, whatever file they come from, found in columns.

Axis: B boxes, P pictures.
"""
from __future__ import annotations

import os
from typing import Dict, Iterable, List, NamedTuple

import numpy as np

from mmdet.datasets.annotations import IGNORED, LEFT_OUT, Annotations

LARGEST = 1e6  # pixels: no picture is so large, and float32 would round a box that is
MIXING = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F,
                   0xE7037ED1A0B428DB], dtype=np.uint64)  # odd numbers that look random
# What cannot be learned from, or is not what it was meant to be: an error, or left out by `bad_data='skip'`.
SERIOUS = ('record that cannot be used', 'file name that leads out of its folder', 'picture without a size',
           'box of an unknown category', 'box that is no box', 'box whose end lies before its start', 'box beside the picture',
           'picture file that cannot be used')
# What training copes with, as MMDetection does, and who made the data may want to know.
NOTES = ('box without area', 'box with a side below one pixel', 'box left out for its area or its ignore flag',
         'crowd or difficult box', 'box with a side below two pixels', 'box that reaches over the edge',
         'box that occurs twice', 'picture without boxes', 'picture below the smallest size', 'file that occurs twice')


class Defect(NamedTuple):
    """Fields:
        kind: of SERIOUS or NOTES, or of the pictures' notes (picture_check.py).
        message: file, record, what is given.
    """
    kind: str
    message: str


def serious(defects: Iterable[Defect]) -> List[Defect]:
    return [defect for defect in defects if defect.kind in SERIOUS]


def spoilt_boxes(corners: np.ndarray, sizes: np.ndarray, unknown: np.ndarray) -> Dict[str, np.ndarray]:
    """Kind of SERIOUS -> (B,) bool, the boxes of that kind; a box is of one kind at most.

    Args:
        corners: (B, 4) x1, y1, x2, y2.
        sizes: (B, 2) width, height of the picture of each.
        unknown: (B,) bool, whether its category is one that the file does not know.
    """
    x1, y1, x2, y2 = corners.T
    width, height = sizes.T
    strange = ~(np.abs(corners) <= LARGEST).all(axis=1)  # NaN is not either
    turned = ~strange & ((x2 < x1) | (y2 < y1))
    area = ~strange & (x2 > x1) & (y2 > y1)
    beside = area & (width > 0) & (height > 0) & ((x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0))
    found = dict(zip(SERIOUS[3:7], (unknown, strange & ~unknown, turned & ~unknown, beside & ~unknown)))
    return found


def defects_of(annotations: Annotations, corners: np.ndarray, unknown: np.ndarray, where: str, min_side: int) -> List[Defect]:
    """All that is to be said of the pictures and their boxes of wanted classes.

    Args:
        annotations: all pictures of a file.
        corners: (B, 4) x1, y1, x2, y2 of all boxes as the file has them, where `annotations` may have left some out.
        unknown: (B,) bool, whether a box's category is one that the file does not know.
        where: the file.
        min_side: pixels below which training leaves a picture out.
    """
    columns = annotations.columns
    pictures = np.repeat(np.arange(len(columns.ids)), np.diff(columns.first))
    labels = columns.labels if annotations.label_of is None else annotations.label_of[columns.labels]
    counts = (labels >= 0) | unknown | (annotations.label_of is None)
    sizes = columns.sizes[pictures]
    masks = spoilt_boxes(corners, sizes, unknown)
    masks.update(noted_boxes(corners, sizes, columns.kinds, np.logical_or.reduce(list(masks.values()))))
    masks['box that occurs twice'] = repeated(pictures, labels, corners)  # whatever else it is
    found = [Defect(kind, f'{where}: {_picture(annotations, pictures[i])}: box [{", ".join(f"{v:g}" for v in corners[i])}] '
                          f'(x1 y1 x2 y2) in {sizes[i][0]} x {sizes[i][1]} pixels: {kind}')
             for kind, mask in masks.items() for i in np.flatnonzero(mask & counts)]
    return found + _of_pictures(annotations, where, min_side)


def noted_boxes(corners: np.ndarray, sizes: np.ndarray, kinds: np.ndarray, spoilt: np.ndarray) -> Dict[str, np.ndarray]:
    """Kind of NOTES -> (B,) bool; a box is of one kind at most, and of none if it is spoilt."""
    x1, y1, x2, y2 = corners.T
    sides = np.minimum(x2 - x1, y2 - y1)
    over = (x1 < -1) | (y1 < -1) | (x2 > sizes[:, 0] + 1) | (y2 > sizes[:, 1] + 1)
    rest, found = ~spoilt, {}
    for kind, mask in zip(NOTES, (sides == 0, sides < 1, kinds == LEFT_OUT, kinds == IGNORED, sides < 2, over)):
        found[kind] = rest & mask
        rest = rest & ~mask
    return found


def repeated(pictures: np.ndarray, labels: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(B,) bool, whether a box is in the same place and of the same class as one before it in its picture."""
    rows = np.column_stack([pictures, labels, corners]).astype(np.float64) + 0.0  # -0.0 is 0.0
    with np.errstate(over='ignore'):
        marks = (rows.view(np.uint64) * MIXING).sum(axis=1)  # equal rows have equal marks, and sorting numbers is quick
    _, first, group = np.unique(marks, return_index=True, return_inverse=True)
    return (first[group] != np.arange(len(rows))) & (rows == rows[first[group]]).all(axis=1)


def leading_out(annotations: Annotations, where: str, folder: str) -> Dict[int, Defect]:
    """Pictures whose names do not stay below the folder that they are meant to be in: absolute, or through '..'.

    Args:
        annotations: all pictures of a file.
        where: the file.
        folder: of the pictures; '' lets names be what they are.
    """
    columns = annotations.columns
    starts = columns.name_ends[:-1]
    suspect = bool(len(columns.names)) and (b'..' in columns.names.tobytes()
                                            or (columns.names[starts[starts < len(columns.names)]] == ord('/')).any())
    if not suspect or not folder:
        return {}
    return {i: Defect(SERIOUS[1], f'{where}: {_picture(annotations, i)}: the file name leads out of {folder}; expected one '
                                  f'below it')
            for i in range(len(annotations)) if leads_out(annotations.file_name(i))}


def leads_out(name: str) -> bool:
    return os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == os.pardir


def _of_pictures(annotations: Annotations, where: str, min_side: int) -> List[Defect]:
    columns, names = annotations.columns, annotations.file_names
    smallest = columns.sizes.min(axis=1)
    twice = np.ones(len(names), dtype=bool)
    twice[np.unique(np.array(names, dtype=object).astype(str), return_index=True)[1]] = False
    masks = {'picture without a size': smallest <= 0, 'picture below the smallest size': (smallest > 0) & (smallest < min_side),
             'picture without boxes': ~annotations.annotated, 'file that occurs twice': twice}
    return [Defect(kind, f'{where}: {_picture(annotations, i)}: {columns.sizes[i][0]} x {columns.sizes[i][1]} pixels: {kind}')
            for kind, mask in masks.items() for i in np.flatnonzero(mask)]


def _picture(annotations: Annotations, index: int) -> str:
    return f"picture {annotations.columns.ids[index]} ('{annotations.file_name(index)}')"
