"""Annotations as columns: a few arrays for a whole dataset, whatever its size."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

# Kinds of boxes: to be found; neither to be found nor wrong to find (crowds, difficult ones); of use for nothing but to say
# that the class is in the picture.
WANTED, IGNORED, LEFT_OUT = 0, 1, 2


class Picture(NamedTuple):
    """A picture and its n boxes, for readers that go from picture to picture. Fields as in `Annotations`."""
    file_name: str
    id: Union[int, str]
    size: Tuple[int, int]
    bboxes: Sequence[Sequence[float]]
    labels: Sequence[int]
    kinds: Sequence[int]


class Annotations(NamedTuple):
    """Pictures and their boxes. Boxes of picture i are rows `first[i]:first[i + 1]` of the box columns.

    Fields:
        file_names: relative to the dataset's `img_prefix`.
        ids: (P,) of the pictures in the annotation file, int64 or text.
        sizes: (P, 2) int64 width, height.
        first: (P + 1,) int64.
        bboxes: (B, 4) float32 x1, y1, x2, y2.
        labels: (B,) int64 in 0..C-1; -1 for ignored boxes of no class.
        kinds: (B,) int8 WANTED, IGNORED or LEFT_OUT.
    """
    file_names: List[str]
    ids: np.ndarray
    sizes: np.ndarray
    first: np.ndarray
    bboxes: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray

    def __len__(self) -> int:  # of pictures, not of fields
        return len(self.file_names)

    @property
    def annotated(self) -> np.ndarray:
        """(P,) bool, whether the file has any record of a wanted class for the picture, be it left out here."""
        return np.diff(self.first) > 0

    def boxes_of(self, index: int) -> Dict[str, np.ndarray]:
        """MMDetection's `ann_info` of a picture: bboxes (n, 4), labels (n,), bboxes_ignore (m, 4), labels_ignore (m,)."""
        rows = slice(self.first[index], self.first[index + 1])
        bboxes, labels, kinds = self.bboxes[rows], self.labels[rows], self.kinds[rows]
        wanted, ignored = kinds == WANTED, kinds == IGNORED
        return {'bboxes': bboxes[wanted], 'labels': labels[wanted],
                'bboxes_ignore': bboxes[ignored], 'labels_ignore': labels[ignored]}

    def classes_of(self, index: int) -> List[int]:
        """Labels in the picture, each once: those of ignored and left out boxes too."""
        found = np.unique(self.labels[self.first[index]:self.first[index + 1]])
        return found[found >= 0].tolist()

    def info(self, index: int) -> Dict[str, Any]:
        """MMDetection's `img_info` of a picture."""
        width, height = (int(side) for side in self.sizes[index])
        return {'filename': self.file_names[index], 'id': self.ids[index].item(), 'width': width, 'height': height}

    def subset(self, indices: Sequence[int]) -> Annotations:
        """These pictures only, in this order."""
        counts = np.diff(self.first)[indices]
        rows = np.concatenate([np.arange(self.first[i], self.first[i + 1]) for i in indices] or [np.zeros(0, np.int64)])
        return Annotations([self.file_names[i] for i in indices], self.ids[indices], self.sizes[indices],
                           np.concatenate([[0], np.cumsum(counts)]), self.bboxes[rows], self.labels[rows], self.kinds[rows])


def in_columns(pictures: Sequence[Picture]) -> Annotations:
    """Pictures one by one, brought into columns."""
    counts = [len(picture.labels) for picture in pictures]
    bboxes = [box for picture in pictures for box in picture.bboxes]
    labels = [label for picture in pictures for label in picture.labels]
    kinds = [kind for picture in pictures for kind in picture.kinds]
    return Annotations([picture.file_name for picture in pictures], np.array([picture.id for picture in pictures]),
                       np.array([picture.size for picture in pictures], dtype=np.int64).reshape(-1, 2),
                       np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
                       np.array(bboxes, dtype=np.float32).reshape(-1, 4), np.array(labels, dtype=np.int64),
                       np.array(kinds, dtype=np.int8))
