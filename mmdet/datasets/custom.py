"""MMDetection's own annotation format: a list of pictures with their boxes."""
from __future__ import annotations

import os
from functools import partial
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from mmcv_need.errors import ConfigError, DataError
from mmcv_need.serialization.json_files import read_json
from mmcv_need.serialization.pickles import load_pickle
from mmdet.core.evaluation.mean_ap import area_under_curve
from mmdet.core.evaluation.voc_metric import VocMetric
from mmdet.datasets.annotations import IGNORED, WANTED, Picture, in_columns
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.datasets.pictures import AnnotatedPictures, class_names, usable

LARGEST = 2 ** 53  # of whole numbers that float64 tells apart
NOTHING = {'bboxes': [], 'labels': []}


@DATASETS.register_module(parts=dict(pipeline=PIPELINES))
class CustomDataset(AnnotatedPictures):
    """Pictures and boxes of a list of records:

        {'filename': 'a.jpg', 'width': 640, 'height': 480,
         'ann': {'bboxes': (n, 4) x1 y1 x2 y2, 'labels': (n,) 0..C-1, 'bboxes_ignore': (k, 4), 'labels_ignore': (k,)}}

    The last two may be absent, and in a test all of `ann`. Ignored boxes without labels are of no class.

    A dataset of somebody's own derives from this and overrides, as in MMDetection, `load_annotations`, which makes that list of
    whatever file there is; or `get_ann_info` beside it, where the list has no `ann`; and sets `CLASSES`.

    Args:
        ann_file: the list, as .json or .pkl.
        pipeline: transforms.
        classes: names of the labels, or a text file with one a line; None means the `CLASSES` of the class.
        data_root: goes before `ann_file` and `img_prefix` where those are relative.
        img_prefix: folder of the pictures.
        test_mode: all pictures, without their boxes.
        filter_empty_gt: whether training leaves out pictures without boxes.
        bad_data: whether a record that cannot be used is an 'error', or to be left out: 'skip'.

    Attributes:
        data_infos: the records of the pictures that are used.
    """
    CLASSES: Optional[Sequence[str]] = None

    def __init__(self, ann_file: str, pipeline: Sequence[Any], classes: Union[str, Sequence[str], None] = None,
                 data_root: Optional[str] = None, img_prefix: str = '', test_mode: bool = False, filter_empty_gt: bool = True,
                 bad_data: str = 'error'):
        path, names = os.path.join(data_root or '', ann_file), class_names(self._named(classes))
        self.CLASSES, self.data_infos = tuple(names), self.load_annotations(path)
        records = list(self.data_infos)
        if type(self).get_ann_info is not AnnotatedPictures.get_ann_info:
            records = [{**item, 'ann': self.get_ann_info(i)} if 'ann' not in item else item for i, item in enumerate(records)]
        bare = [i for i, item in enumerate(records) if test_mode and isinstance(item, Mapping) and 'ann' not in item]
        for i in bare:
            records[i] = {**records[i], 'ann': NOTHING}
        pictures, skipped = usable((partial(_picture, f'{path}: record {i}', i, item, len(names))
                                    for i, item in enumerate(records)), bad_data)
        super().__init__(path, in_columns(pictures), names, pipeline, os.path.join(data_root or '', img_prefix), test_mode,
                         filter_empty_gt, unannotated=f"{path}: record {bare[0]} has no 'ann'" if bare else '',
                         bad_data=bad_data, skipped=skipped)
        self.data_infos = [self.data_infos[number] for number in self.annotations.ids]
        self.metric = VocMetric(names, area_under_curve)

    def _named(self, classes: Union[str, Sequence[str], None]) -> Union[str, Sequence[str]]:
        found = type(self).CLASSES if classes is None else classes
        if found is None:
            raise ConfigError(f'classes: a {type(self).__name__} names none itself; expected the names of its labels')
        return found

    def load_annotations(self, ann_file: str) -> List[Any]:
        """The records of the annotation file, whose path is complete."""
        return load_list(ann_file)

    def get_cat_ids(self, index: int) -> List[int]:
        """Labels in a picture, each once; those of ignored boxes do not count, as in MMDetection."""
        return np.unique(self.get_ann_info(index)['labels']).tolist()


def load_list(path: str) -> List[Any]:
    """The records of a .json or .pkl file.

    Raises:
        DataError: missing, damaged, or no list.
    """
    if not os.path.isfile(path):
        raise DataError(f'{path}: no such annotation file. Check ann_file and data_root of this dataset')
    if path.endswith('.json'):
        content = read_json(path)
    elif path.endswith(('.pkl', '.pickle')):
        content = load_pickle(path)
    else:
        raise DataError(f'{path}: expected a name that ends in .json, .pkl or .pickle')
    if not isinstance(content, list):
        raise DataError(f'{path}: expected a list of records with filename, width, height and ann, not a '
                        f'{type(content).__name__}')
    return content


def _picture(where: str, number: int, item: Any, num_classes: int) -> Picture:
    """A record, checked. `where`: for messages."""
    ann, file_name = _entry(where, item, 'ann'), _entry(where, item, 'filename')
    if not isinstance(file_name, str):
        raise DataError(f'{where}: filename is {file_name!r:.60}; expected text')
    size = tuple(_array(where, side, _entry(where, item, side), (), np.int64).item() for side in ('width', 'height'))
    bboxes = _boxes(where, 'ann.bboxes', _entry(f'{where}.ann', ann, 'bboxes'))
    labels = _array(where, 'ann.labels', _entry(f'{where}.ann', ann, 'labels'), (len(bboxes),), np.int64)
    ignored = _boxes(where, 'ann.bboxes_ignore', ann.get('bboxes_ignore'))
    of_no_class = np.full(len(ignored), -1)
    given = ann.get('labels_ignore')
    labels_ignored = of_no_class if given is None else _array(where, 'ann.labels_ignore', given, (len(ignored),), np.int64)
    for name, values, lowest in (('labels', labels, 0), ('labels_ignore', labels_ignored, -1)):
        wrong = values[(values < lowest) | (values >= num_classes)]
        if len(wrong):
            raise DataError(f'{where}: ann.{name} has {wrong[0]}; expected {lowest} to {num_classes - 1}, since `classes` '
                            f'has {num_classes} names')
    return Picture(file_name, number, size, [*bboxes, *ignored], [*labels, *labels_ignored],
                   [WANTED] * len(bboxes) + [IGNORED] * len(ignored))


def _entry(where: str, item: Any, key: str) -> Any:
    if not isinstance(item, Mapping) or key not in item:
        raise DataError(f"{where}: has no '{key}'")
    return item[key]


def _boxes(where: str, name: str, given: Any) -> np.ndarray:
    """(n, 4) float32. No boxes at all may be an empty list, or None."""
    if given is None or (isinstance(given, (list, tuple)) and not given):
        return np.zeros((0, 4), np.float32)
    return _array(where, name, given, ('n', 4), np.float32)


def _array(where: str, name: str, given: Any, shape: Tuple[Any, ...], dtype: type) -> np.ndarray:
    """Finite numbers of a shape, of which a side 'n' may have any length; whole ones for an integer type."""
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros((0, 0, 0))
    fits = values.ndim == len(shape) and all(want in ('n', size) for want, size in zip(shape, values.shape))
    whole = dtype is not np.int64 or not ((values % 1).any() or (np.abs(values) > LARGEST).any())
    if not fits or not np.isfinite(values).all() or not whole:
        what = 'whole' if dtype is np.int64 else 'finite'
        expected = f"{what} numbers of shape ({', '.join(map(str, shape))})" if shape else f'a {what} number'
        raise DataError(f'{where}: {name} is {str(given)[:60]!r}; expected {expected}')
    with np.errstate(over='ignore'):  # no box is so large, which is said later
        return values.astype(dtype)
