"""Files of detections: COCO result files (.json) and MMDetection's lists of lists of arrays (.pkl), written and read."""
from __future__ import annotations

import os
import pickle
from typing import Any, Dict, List, Sequence

import numpy as np
import orjson

from mmcv_need.errors import DataError, UserError
from mmcv_need.serialization.json_files import read_json
from mmcv_need.serialization.pickles import load_pickle
from mmdet.core.evaluation.coco_api import result_rows
from mmdet.core.post_processing.detections import Detections

SUFFIXES = ('.json', '.pkl', '.pickle')


def coco_results(results: Sequence[Detections], dataset: Any) -> List[Dict[str, Any]]:
    """Detections as records of a COCO result file, in MMDetection's order: by picture, then by class."""
    rows = result_rows(results, dataset.annotations.ids, np.asarray(dataset.cat_ids))
    columns = (rows[:, 0].astype(np.int64), rows[:, 1:5], rows[:, 5], rows[:, 6].astype(np.int64))
    return [{'image_id': image_id, 'bbox': bbox, 'score': score, 'category_id': category_id}
            for image_id, bbox, score, category_id in zip(*(column.tolist() for column in columns))]


def has_coco_ids(dataset: Any) -> bool:
    """Whether a dataset has the ids that a COCO result file names its pictures and classes by."""
    return hasattr(dataset, 'cat_ids')


def check_writable(path: str, dataset: Any, option: str) -> None:
    """Detections of this dataset can be written in the form that the name of the file asks for.

    Raises:
        UserError: they cannot; `option` is what asks for it.
    """
    if path.endswith('.json') and not has_coco_ids(dataset):
        raise UserError(f'{option}: {path}: a COCO result file has the ids of a COCO annotation file, which a '
                        f'{type(dataset).__name__} lacks; write a .pkl with --out')


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


def read_results(path: str, dataset: Any) -> List[Detections]:
    """Detections of a dataset's pictures, in its order, from a file that `write_results` or MMDetection wrote.

    Boxes of a .json stay float64: the metrics are then those that COCO's own code finds for the file.

    Raises:
        DataError: the file is missing or damaged, or not for this dataset.
    """
    if path.endswith('.json'):
        if not has_coco_ids(dataset):
            raise DataError(f'{path}: a COCO result file is read by the ids of a COCO annotation file, which a '
                            f'{type(dataset).__name__} lacks; expected a .pkl')
        return _from_records(path, _load_records(path), dataset)
    if path.endswith(SUFFIXES):
        return _from_arrays(path, load_pickle(path), dataset)
    raise DataError(f'{path}: expected a file of detections, with a name that ends in .json, .pkl or .pickle')


def _from_arrays(path: str, nested: Any, dataset: Any) -> List[Detections]:
    """From [picture][class] -> (n, 5) x1, y1, x2, y2, score; of a picture with masks, (boxes, masks), the boxes count."""
    num_classes = len(dataset.CLASSES)
    if not isinstance(nested, list):
        raise DataError(f'{path}: holds a {type(nested).__name__}; expected a list with an item for each picture')
    if len(nested) != len(dataset):
        name = getattr(dataset, 'ann_file', type(dataset).__name__)
        raise DataError(f'{path}: holds {len(nested)} pictures, but the dataset ({name}) has {len(dataset)}; are they '
                        f'detections of another dataset?')
    results = []
    for i, picture in enumerate(nested):
        arrays = picture[0] if isinstance(picture, tuple) and picture else picture
        if not isinstance(arrays, list) or len(arrays) != num_classes:
            given = f'{len(arrays)} classes' if isinstance(arrays, list) else f'a {type(arrays).__name__}'
            raise DataError(f'{path}: picture {i} holds {given}; expected a list of arrays for the {num_classes} classes of '
                            f'the dataset')
        for label, array in enumerate(arrays):
            if not (isinstance(array, np.ndarray) and array.ndim == 2 and array.shape[1] == 5 and np.isfinite(array).all()):
                raise DataError(f"{path}: picture {i}, class '{dataset.CLASSES[label]}': expected an array (n, 5) of finite "
                                f'numbers x1, y1, x2, y2, score')
        rows = np.concatenate(arrays).astype(np.float32)
        labels = np.repeat(np.arange(num_classes), [len(array) for array in arrays])
        order = np.argsort(-rows[:, 4], kind='stable')
        results.append(Detections(rows[order, :4], rows[order, 4], labels[order]))
    return results


def _load_records(path: str) -> List[Any]:
    records = read_json(path)
    if not isinstance(records, list):
        raise DataError(f'{path}: not a COCO result file: expected a list of detections, not a {type(records).__name__}')
    return records


def _from_records(path: str, records: Sequence[Any], dataset: Any) -> List[Detections]:
    """From image_id, category_id, bbox (x, y, width, height) and score of each detection."""
    picture_of = {number: i for i, number in enumerate(dataset.annotations.ids.tolist())}
    label_of = {number: label for label, number in enumerate(dataset.cat_ids)}
    try:
        pictures = np.array([picture_of.get(item['image_id'], -1) for item in records], dtype=np.int64)
        labels = np.array([label_of.get(item['category_id'], -1) for item in records], dtype=np.int64)
        boxes = np.array([[*item['bbox'], item['score']] for item in records], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        raise DataError(_first_fault(path, records)) from None
    if len(records) and (boxes.shape != (len(records), 5) or np.isnan(boxes).any()):  # None becomes nan
        raise DataError(_first_fault(path, records))
    for values, key, owner in ((pictures, 'image_id', f'picture of the dataset ({dataset.ann_file})'),
                               (labels, 'category_id', f"class of the dataset ({', '.join(dataset.CLASSES[:5])}, ...)")):
        foreign = np.flatnonzero(values < 0)
        if len(foreign):
            raise DataError(f'{path}: [{foreign[0]}].{key} is {records[foreign[0]][key]!r}, which is no {owner}')
    boxes = boxes.reshape(-1, 5)
    boxes[:, 2:4] += boxes[:, :2]
    order = np.lexsort((-boxes[:, 4], pictures))
    parts = np.split(order, np.searchsorted(pictures[order], np.arange(1, len(dataset))))
    return [Detections(boxes[part, :4], boxes[part, 4], labels[part]) for part in parts]


def _first_fault(path: str, records: Sequence[Any]) -> str:
    """What is wrong with the first record that is."""
    for i, item in enumerate(records):
        missing = [key for key in ('image_id', 'category_id', 'bbox', 'score') if not isinstance(item, dict) or key not in item]
        if missing:
            return f"{path}: [{i}] has no '{missing[0]}'; expected image_id, category_id, bbox and score"
        numbers = [*item['bbox'], item['score']] if isinstance(item['bbox'], list) else []
        if len(numbers) != 5 or not all(isinstance(value, (int, float)) for value in numbers):
            return (f"{path}: [{i}] has bbox {item['bbox']!r} and score {item['score']!r}; expected [x, y, width, height] "
                    f'and a number')
        for key in ('image_id', 'category_id'):
            if not isinstance(item[key], (int, float, str)):
                return f'{path}: [{i}].{key} is {item[key]!r}; expected a number'
    return f'{path}: a box or a score is too large a number'


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
