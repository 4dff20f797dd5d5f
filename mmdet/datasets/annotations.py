"""Annotations as columns: a few arrays for a whole dataset, whatever its size."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

# Kinds of boxes: to be found; neither to be found nor wrong to find (crowds, difficult ones); of use for nothing but to say
# that the class is in the picture.
WANTED, IGNORED, LEFT_OUT = 0, 1, 2


class Picture(NamedTuple):
    """A picture and its n boxes, for readers that go from picture to picture. Fields as in `Columns`."""
    file_name: str
    id: Union[int, str]
    size: Tuple[int, int]
    bboxes: Sequence[Sequence[float]]
    labels: Sequence[int]
    kinds: Sequence[int]


class Columns(NamedTuple):
    """Pictures and their boxes. Boxes of picture i are rows `first[i]:first[i + 1]` of the box columns.

    The arrays may lie in a file that is mapped into memory, and are then shared by all processes that read it.

    Fields:
        names: (T,) uint8, the file names in UTF-8, one behind the other; relative to the dataset's `img_prefix`.
        name_ends: (P + 1,) int64; the name of picture i is `names[name_ends[i]:name_ends[i + 1]]`.
        ids: (P,) of the pictures in the annotation file, int64 or text.
        sizes: (P, 2) int64 width, height.
        first: (P + 1,) int64.
        bboxes: (B, 4) float32 x1, y1, x2, y2.
        labels: (B,) int in 0..C-1; -1 for ignored boxes of no class. Or categories, of which `Annotations` makes labels.
        kinds: (B,) int8 WANTED, IGNORED or LEFT_OUT.
    """
    names: np.ndarray
    name_ends: np.ndarray
    ids: np.ndarray
    sizes: np.ndarray
    first: np.ndarray
    bboxes: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray

    def of_boxes(self, kept: np.ndarray) -> Columns:
        """The same pictures with some of their boxes. `kept`: (B,) bool."""
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])[self.first]
        return self._replace(first=first, bboxes=self.bboxes[kept], labels=self.labels[kept], kinds=self.kinds[kept])


class Annotations:
    """Some pictures of the columns, in an order, with the boxes of some categories.

    Args:
        columns: all there are.
        label_of: (K,) int64 label of each category that `columns.labels` names, -1 for those that are not wanted; None where
            it names labels.
        chosen: (P,) int, which pictures; None for all.
    """

    def __init__(self, columns: Columns, label_of: Optional[np.ndarray] = None, chosen: Optional[np.ndarray] = None):
        self.columns, self.label_of, self.chosen = columns, label_of, chosen

    def __len__(self) -> int:
        return len(self.columns.ids) if self.chosen is None else len(self.chosen)

    @property
    def file_names(self) -> List[str]:
        """Of all pictures; `file_name` gives one."""
        return [self.file_name(index) for index in range(len(self))]

    @property
    def ids(self) -> np.ndarray:
        return self._of_chosen(self.columns.ids)

    @property
    def sizes(self) -> np.ndarray:
        return self._of_chosen(self.columns.sizes)

    @property
    def annotated(self) -> np.ndarray:
        """(P,) bool, whether the file has any record of a wanted class for the picture, be it left out here."""
        first = self.columns.first
        if self.label_of is not None:
            wanted = (self.label_of >= 0).astype(np.int8)[self.columns.labels]
            first = np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted, dtype=np.int64)])[first]
        return self._of_chosen(np.diff(first) > 0)

    def file_name(self, index: int) -> str:
        picture = self._place(index)
        start, end = self.columns.name_ends[picture:picture + 2]
        return self.columns.names[start:end].tobytes().decode('utf-8', 'surrogateescape')

    def boxes_of(self, index: int) -> Dict[str, np.ndarray]:
        """MMDetection's `ann_info` of a picture: bboxes (n, 4), labels (n,), bboxes_ignore (m, 4), labels_ignore (m,)."""
        rows = self._rows(index)
        bboxes, labels, kinds = self.columns.bboxes[rows], self._labels(rows), self.columns.kinds[rows]
        counts = labels >= 0
        if not kinds.any() and counts.all():  # WANTED, and of a wanted class, as are those of most pictures
            return {'bboxes': bboxes, 'labels': labels, 'bboxes_ignore': bboxes[:0], 'labels_ignore': labels[:0]}
        wanted, ignored = kinds == WANTED, kinds == IGNORED
        if self.label_of is not None:
            wanted, ignored = wanted & counts, ignored & counts
        return {'bboxes': bboxes[wanted], 'labels': labels[wanted],
                'bboxes_ignore': bboxes[ignored], 'labels_ignore': labels[ignored]}

    def classes_of(self, index: int) -> List[int]:
        """Labels in the picture, each once: those of ignored and left out boxes too."""
        found = np.unique(self._labels(self._rows(index)))
        return found[found >= 0].tolist()

    def info(self, index: int) -> Dict[str, Any]:
        """MMDetection's `img_info` of a picture."""
        picture = self._place(index)
        width, height = self.columns.sizes[picture].tolist()
        return {'filename': self.file_name(index), 'id': self.columns.ids[picture].item(), 'width': width, 'height': height}

    def subset(self, indices: np.ndarray) -> Annotations:
        """These pictures only, in this order."""
        kind = np.min_scalar_type(len(self.columns.ids))
        chosen = np.asarray(indices) if self.chosen is None else self.chosen[indices]
        return Annotations(self.columns, self.label_of, chosen.astype(kind))

    def _place(self, index: int) -> int:
        return index if self.chosen is None else int(self.chosen[index])

    def _rows(self, index: int) -> slice:
        picture = self._place(index)
        first = self.columns.first
        return slice(first[picture], first[picture + 1])

    def _labels(self, rows: slice) -> np.ndarray:
        labels = self.columns.labels[rows]
        return labels if self.label_of is None else self.label_of[labels]

    def _of_chosen(self, column: np.ndarray) -> np.ndarray:
        return column if self.chosen is None else column[self.chosen]


def in_columns(pictures: Sequence[Picture]) -> Annotations:
    """Pictures one by one, brought into columns."""
    counts = [len(picture.labels) for picture in pictures]
    bboxes = [box for picture in pictures for box in picture.bboxes]
    labels = [label for picture in pictures for label in picture.labels]
    kinds = [kind for picture in pictures for kind in picture.kinds]
    return Annotations(Columns(
        *text_columns([picture.file_name for picture in pictures]), np.array([picture.id for picture in pictures]),
        np.array([picture.size for picture in pictures], dtype=np.int64).reshape(-1, 2), ends(counts),
        np.array(bboxes, dtype=np.float32).reshape(-1, 4), np.array(labels, dtype=np.int64), np.array(kinds, dtype=np.int8)))


def text_columns(texts: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
    """(T,) uint8 texts in UTF-8, one behind the other, and (P + 1,) where each ends and the next begins."""
    encoded = [text.encode('utf-8', 'surrogateescape') for text in texts]
    return np.frombuffer(b''.join(encoded), np.uint8), ends(list(map(len, encoded)))


def ends(counts: Union[Sequence[int], np.ndarray]) -> np.ndarray:
    """(n + 1,) int64: 0 and the sums up to and with each."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
