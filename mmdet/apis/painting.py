"""Paint the detections of a dataset: save the pictures, or show them."""
from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import cv2
import numpy as np

from mmcv_need.errors import DataError, UserError
from mmdet.core.post_processing.detections import Detections
from mmdet.core.visualization import draw_detections
from mmdet.datasets.pipelines.loading import read_image


def painted(results: Sequence[Detections], dataset: Any, score_thr: float) -> Iterator[Tuple[str, np.ndarray]]:
    """File name and painted picture of each picture of a dataset."""
    for (part, name), found in zip(pictures(dataset), results):
        img = read_image(os.path.join(part.img_prefix, name))
        yield name, draw_detections(img, found, dataset.CLASSES, score_thr)


def pictures(dataset: Any) -> Iterator[Tuple[Any, str]]:
    """Each picture's dataset and file name; of a ConcatDataset, those of its parts one after another."""
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from pictures(part)
    else:
        for name in dataset.annotations.file_names:
            yield dataset, name


def painted_paths(folder: str, dataset: Any) -> List[str]:
    """Where the painted pictures of a dataset go: they lie under `folder` as the pictures lie under `img_prefix`.

    Raises:
        DataError: a file name leads out of the folder, or to the picture itself, or two lead to one place.
    """
    root = os.path.realpath(folder)
    paths: Dict[str, None] = {}
    for part, name in pictures(dataset):
        path = os.path.realpath(os.path.join(root, name))
        if os.path.commonpath([root, path]) != root:
            raise DataError(f'{part.ann_file}: file_name {name!r} leads out of --show-dir {folder}; expected a name '
                            f'relative to img_prefix, without ..')
        if path == os.path.realpath(os.path.join(part.img_prefix, name)):
            raise DataError(f'--show-dir {folder}: the painting of {name} would replace the picture itself; '
                            f'give another folder')
        if path in paths:
            raise DataError(f'{part.ann_file}: a second picture is called {name}, and both would be painted to one file')
        paths[path] = None
    return list(paths)


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


def show_painted(results: Sequence[Detections], dataset: Any, score_thr: float) -> None:
    """One picture after another in a window; any key goes on, q or Esc ends."""
    try:
        for name, img in painted(results, dataset, score_thr):
            cv2.imshow('detections', img)
            cv2.setWindowTitle('detections', name)
            if cv2.waitKey(0) in (ord('q'), 27):
                break
        cv2.destroyAllWindows()
    except cv2.error as error:  # opencv-python-headless, or no screen
        raise UserError('--show: OpenCV cannot open a window here; use --show-dir DIR to save the pictures') from error
