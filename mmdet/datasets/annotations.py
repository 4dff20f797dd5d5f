"""Annotations as columns: a few arrays for a whole dataset, whatever its size."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np


class Annotations(NamedTuple):
    """Pictures and their boxes. Boxes of picture i are rows `first[i]:first[i + 1]` of the box columns.

    Fields:
        file_names: relative to the dataset's `img_prefix`.
        ids: (P,) int64 ids of the pictures in the annotation file.
        sizes: (P, 2) int64 width, height.
        first: (P + 1,) int64.
        bboxes: (B, 4) float32 x1, y1, x2, y2.
        labels: (B,) int64 in 0..C-1; -1 where ignored.
        ignored: (B,) bool, crowds and the like.
        annotated: (P,) bool, whether the file has any record of a wanted class for the picture, be it left out here.
    """
    file_names: List[str]
    ids: np.ndarray
    sizes: np.ndarray
    first: np.ndarray
    bboxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    annotated: np.ndarray

    def __len__(self) -> int:  # of pictures, not of fields
        return len(self.file_names)

    def boxes_of(self, index: int) -> Dict[str, np.ndarray]:
        """MMDetection's `ann_info` of a picture: bboxes (n, 4), labels (n,), bboxes_ignore (m, 4)."""
        rows = slice(self.first[index], self.first[index + 1])
        ignored = self.ignored[rows]
        return {'bboxes': self.bboxes[rows][~ignored], 'labels': self.labels[rows][~ignored],
                'bboxes_ignore': self.bboxes[rows][ignored]}

    def info(self, index: int) -> Dict[str, Any]:
        """MMDetection's `img_info` of a picture."""
        width, height = (int(side) for side in self.sizes[index])
        return {'filename': self.file_names[index], 'id': int(self.ids[index]), 'width': width, 'height': height}

    def subset(self, indices: Sequence[int]) -> Annotations:
        """These pictures only, in this order."""
        counts = np.diff(self.first)[indices]
        rows = np.concatenate([np.arange(self.first[i], self.first[i + 1]) for i in indices] or [np.zeros(0, np.int64)])
        return Annotations([self.file_names[i] for i in indices], self.ids[indices], self.sizes[indices],
                           np.concatenate([[0], np.cumsum(counts)]), self.bboxes[rows], self.labels[rows], self.ignored[rows],
                           self.annotated[indices])
