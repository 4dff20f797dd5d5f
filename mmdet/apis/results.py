"""What to do with the detections of a dataset: write them, paint them, show them."""
from __future__ import annotations

import os
import pickle
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import cv2
import numpy as np
import orjson

from mmcv_need.errors import UserError
from mmdet.core.post_processing.detections import Detections
from mmdet.core.visualization import draw_detections
from mmdet.datasets.pipelines.loading import read_image


def coco_results(results: Sequence[Detections], dataset: Any) -> List[Dict[str, Any]]:
    """Detections as records of a COCO result file."""
    return [{'image_id': int(image_id), 'category_id': int(dataset.cat_ids[label]), 'score': float(score),
             'bbox': [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]}
            for image_id, found in zip(dataset.annotations.ids, results)
            for (x1, y1, x2, y2), score, label in zip(found.bboxes, found.scores, found.labels)]


def write_results(path: str, results: Sequence[Detections], dataset: Any) -> None:
    """Write detections: a COCO result file (.json), or MMDetection's list of lists of arrays (.pkl, .pickle)."""
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    if path.endswith('.json'):
        data = orjson.dumps(coco_results(results, dataset))
    else:
        data = pickle.dumps([found.by_class(len(dataset.CLASSES)) for found in results])
    with open(path, 'wb') as file:
        file.write(data)


def painted(results: Sequence[Detections], dataset: Any, score_thr: float) -> Iterator[Tuple[str, np.ndarray]]:
    """File name and painted picture of each picture of a dataset."""
    for name, found in zip(dataset.annotations.file_names, results):
        img = read_image(os.path.join(dataset.img_prefix, name))
        yield name, draw_detections(img, found, dataset.CLASSES, score_thr)


def save_painted(folder: str, results: Sequence[Detections], dataset: Any, score_thr: float) -> None:
    for name, img in painted(results, dataset, score_thr):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not cv2.imwrite(path, img):
            raise UserError(f'{path}: cannot be written')


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
