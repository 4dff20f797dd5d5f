"""Numbers about a dataset that decide how well a detector can learn from it."""
from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn

from mmcv_need.errors import DataError
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.anchor.coverage import best_overlaps
from mmdet.datasets.annotations import Annotations

SIDES = (0, 8, 16, 32, 64, 128, 256)  # pixels of the network's input: where the rows of the table of sizes begin
MOST = 50_000  # boxes whose overlaps are computed, evenly spread: more would not change a percentage


class ClassCount(NamedTuple):
    """How often a class occurs: in how many boxes, and in how many pictures."""
    name: str
    boxes: int
    pictures: int


class SizeRow(NamedTuple):
    """Boxes of some size: sqrt(width * height) in pixels of the network's input.

    Fields:
        low, high: the size is from `low` on and below `high`, None without end.
        boxes: how many, of those that were looked at.
        unreached: which share of them no default box overlaps enough to be matched for that; of each, the single best default
            box learns to find it.
        overlap: median IoU with the best default box.
    """
    low: int
    high: Optional[int]
    boxes: int
    unreached: float
    overlap: float


def wanted_boxes(annotations: Annotations) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all boxes that are to be learned or found: (B, 4) x1, y1, x2, y2, (B,) labels, (B,) places of their pictures."""
    infos = [annotations.boxes_of(i) for i in range(len(annotations))]
    counts = [len(info['labels']) for info in infos]
    bboxes = np.concatenate([np.zeros((0, 4), np.float32), *(info['bboxes'] for info in infos)])
    labels = np.concatenate([np.zeros(0, np.int64), *(info['labels'] for info in infos)])
    return bboxes, labels.astype(np.int64), np.repeat(np.arange(len(infos)), counts)


def class_counts(names: Sequence[str], labels: np.ndarray, pictures: np.ndarray) -> List[ClassCount]:
    """How often each class occurs. `labels`, `pictures`: (B,) of each box."""
    boxes = np.bincount(labels, minlength=len(names))
    pairs = np.unique(np.stack([pictures, labels]), axis=1)[1] if len(labels) else labels
    seen = np.bincount(pairs, minlength=len(names))
    return [ClassCount(name, int(count), int(of)) for name, count, of in zip(names, boxes, seen)]


def size_rows(bboxes: np.ndarray, sizes: np.ndarray, anchors: Anchors, shape: Tuple[int, int], threshold: float
              ) -> List[SizeRow]:
    """How default boxes reach boxes of each size.

    Args:
        bboxes: (B, 4) x1, y1, x2, y2 in pixels of their pictures.
        sizes: (B, 2) width, height of those.
        anchors: the default boxes.
        shape: height and width of the network's input, to which a picture is stretched.
        threshold: IoU from which a default box is matched.
    """
    chosen = np.unique(np.linspace(0, len(bboxes) - 1, min(MOST, len(bboxes))).round().astype(int)) if len(bboxes) else []
    scale = np.array([shape[1], shape[0]]) / sizes[chosen]
    stretched = (bboxes[chosen] * np.tile(scale, 2)).astype(np.float32)
    sides = np.sqrt(np.clip(stretched[:, 2:] - stretched[:, :2], 0, None).prod(axis=1))
    overlaps = best_overlaps(torch.from_numpy(stretched), anchors).numpy()
    rows = []
    for low, high in zip(SIDES, (*SIDES[1:], None)):
        found = overlaps[(sides >= low) & (sides < (high or np.inf))]
        if len(found):
            rows.append(SizeRow(low, high, len(found), float((found < threshold).mean()), float(np.median(found))))
    return rows


def default_boxes(model: nn.Module, shape: Tuple[int, int]) -> Anchors:
    """Of a detector, for an input of a height and width."""
    model.eval()
    with torch.no_grad():
        _, _, levels = model.predict(torch.zeros(1, 3, *shape))
    return model.bbox_head.anchors(levels, torch.device('cpu'))


def input_shape(dataset: Any) -> Optional[Tuple[int, int]]:
    """Height and width of what a dataset's pipeline makes of a picture; None if none of its first can be used."""
    for index in range(min(len(dataset), 10)):
        try:
            item = dataset[index]
        except DataError:
            continue
        if item is not None:
            height, width = (item[0] if isinstance(item, list) else item)['img'].shape[:2]
            return height, width
    return None
