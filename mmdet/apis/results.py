"""What to do with the detections of a dataset: write them, paint them, show them."""
from __future__ import annotations

import os
import pickle
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import cv2
import numpy as np
import orjson

from mmcv_need.errors import DataError, UserError
from mmdet.core.post_processing.detections import Detections
from mmdet.core.visualization import draw_detections
from mmdet.datasets.pipelines.loading import read_image


def coco_results(results: Sequence[Detections], dataset: Any) -> List[Dict[str, Any]]:
    """Detections as records of a COCO result file."""
    return [{'image_id': int(image_id), 'category_id': int(dataset.cat_ids[label]), 'score': float(score),
             'bbox': [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]}
            for image_id, found in zip(dataset.annotations.ids, results)
            for (x1, y1, x2, y2), score, label in zip(found.bboxes, found.scores, found.labels)]


def prepare_folder(folder: str, option: str) -> None:
    """Make a folder to write to, before anything slow.

    Raises:
        UserError: it cannot be made or written to; `option` is what asks for it.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f'{option}: {folder}: the folder cannot be made ({error.strerror}); give another') from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f'{option}: {folder}: no permission to write in this folder; give another')


def prepare_file(path: str, option: str) -> None:
    """Make the folder of a file to write, before anything slow.

    Raises:
        UserError: the file cannot be written.
    """
    prepare_folder(os.path.dirname(path) or '.', option)
    if os.path.isdir(path):
        raise UserError(f'{option}: {path}: is a folder; give the name of a file')
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise UserError(f'{option}: {path}: no permission to write over this file; give another')


def write_results(path: str, results: Sequence[Detections], dataset: Any) -> None:
    """Write detections: a COCO result file (.json), or MMDetection's list of lists of arrays (.pkl, .pickle)."""
    if path.endswith('.json'):
        data = orjson.dumps(coco_results(results, dataset))
    else:
        data = pickle.dumps([found.by_class(len(dataset.CLASSES)) for found in results])
    try:
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        with open(path, 'wb') as file:
            file.write(data)
    except OSError as error:
        raise UserError(f'{path}: cannot be written ({error.strerror})') from error


def painted(results: Sequence[Detections], dataset: Any, score_thr: float) -> Iterator[Tuple[str, np.ndarray]]:
    """File name and painted picture of each picture of a dataset."""
    for name, found in zip(dataset.annotations.file_names, results):
        img = read_image(os.path.join(dataset.img_prefix, name))
        yield name, draw_detections(img, found, dataset.CLASSES, score_thr)


def painted_paths(folder: str, dataset: Any) -> List[str]:
    """Where the painted pictures of a dataset go: they lie under `folder` as the pictures lie under `img_prefix`.

    Raises:
        DataError: a file name leads out of the folder, or to the picture itself.
    """
    root = os.path.realpath(folder)
    paths = []
    for name in dataset.annotations.file_names:
        path = os.path.realpath(os.path.join(root, name))
        if os.path.commonpath([root, path]) != root:
            raise DataError(f'{dataset.ann_file}: file_name {name!r} leads out of --show-dir {folder}; expected a name '
                            f'relative to img_prefix, without ..')
        if path == os.path.realpath(os.path.join(dataset.img_prefix, name)):
            raise DataError(f'--show-dir {folder}: the painting of {name} would replace the picture itself; '
                            f'give another folder')
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
