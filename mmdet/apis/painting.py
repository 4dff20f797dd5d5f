"""Paint the detections of a dataset: save the pictures, or show them."""
from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from mmcv_need.errors import DataError, UserError
from mmdet.core.post_processing.detections import Detections
from mmdet.core.visualization import draw_detections
from mmdet.datasets.picture_files import read_image
from mmdet.datasets.wrappers import ConcatDataset, Resampled


def painted(results: Sequence[Detections], dataset: Any, score_thr: float) -> Iterator[Tuple[str, np.ndarray]]:
    """File name and painted picture of each picture of a dataset."""
    for picture, found in zip(pictures(dataset), results):
        img = read_image(os.path.join(picture.dataset.img_prefix, picture.name))
        yield picture.name, draw_detections(img, found, dataset.CLASSES, score_thr)


class Picture(NamedTuple):
    """A picture of a dataset, or of one within wrappers.

    Attributes:
        dataset: what it is of, itself.
        index: there.
        folder: where its painting goes: 0, 1, ... in a ConcatDataset, as the metrics of its parts are named; else ''.
    """
    dataset: Any
    index: int
    folder: str

    @property
    def name(self) -> str:
        return self.dataset.annotations.file_name(self.index)


def pictures(dataset: Any) -> Iterator[Picture]:
    """The pictures of a dataset, in its order."""
    if isinstance(dataset, ConcatDataset):
        for i, part in enumerate(dataset.datasets):
            for picture in pictures(part):
                yield picture._replace(folder=os.path.join(str(i), picture.folder))
    elif isinstance(dataset, Resampled):
        inner = list(pictures(dataset.dataset))
        for i in dataset.indices:
            yield inner[i]
    else:
        for i in range(len(dataset)):
            yield Picture(dataset, i, '')


def painted_paths(folder: str, dataset: Any) -> List[str]:
    """Where the painted pictures of a dataset go: they lie under `folder` as the pictures lie under `img_prefix`.

    Those of a ConcatDataset lie in a folder for each part, 0, 1, ...; one that a wrapper repeats has one place.

    Raises:
        DataError: a file name leads out of the folder, or to a picture of the data, or two lead to one place.
    """
    found = list(pictures(dataset))
    sources = {os.path.realpath(os.path.join(picture.dataset.img_prefix, picture.name)) for picture in found}
    paths: List[str] = []
    owners: Dict[str, Tuple[int, int]] = {}
    for picture in found:
        part, name, root = picture.dataset, picture.name, os.path.realpath(os.path.join(folder, picture.folder))
        path, owner = os.path.realpath(os.path.join(root, name)), (id(part), picture.index)
        if os.path.commonpath([root, path]) != root:
            raise DataError(f'{part.ann_file}: file_name {name!r} leads out of --show-dir {folder}; expected a name '
                            f'relative to img_prefix, without ..')
        if path in sources:
            raise DataError(f'--show-dir {folder}: the painting of {name} would replace a picture of the data; '
                            f'give another folder')
        if owners.setdefault(path, owner) != owner:
            raise DataError(f'{part.ann_file}: a second picture is called {name}, and both would be painted to one file')
        paths.append(path)
    return paths


def save_painted(folder: str, results: Sequence[Detections], dataset: Any, score_thr: float) -> None:
    """Save the pictures, painted, under `folder` and nowhere else."""
    for path, (_, img) in zip(painted_paths(folder, dataset), painted(results, dataset, score_thr)):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            written = cv2.imwrite(path, img)
        except (OSError, cv2.error):  # OpenCV raises for a suffix that it cannot encode
            written = False
        if not written:
            raise UserError(f'{path}: cannot be written; is it the name of a picture, and is there space?')


def show_painted(results: Sequence[Detections], dataset: Any, score_thr: float, seconds: float = 0) -> None:
    """One picture after another in a window; any key goes on, and so do `seconds` if not 0; q or Esc ends."""
    try:
        for name, img in painted(results, dataset, score_thr):
            cv2.imshow('detections', img)
            cv2.setWindowTitle('detections', name)
            if cv2.waitKey(round(1000 * seconds)) in (ord('q'), 27):
                break
        cv2.destroyAllWindows()
    except cv2.error as error:  # opencv-python-headless, or no screen
        raise UserError('--show: OpenCV cannot open a window here; use --show-dir DIR to save the pictures') from error
