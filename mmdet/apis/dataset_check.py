"""The data of a run, looked over before it begins."""
from __future__ import annotations

import math
from collections import Counter
from logging import Logger
from typing import Any, Iterable, List, Sequence, Tuple

import numpy as np

from mmcv_need.errors import DataError
from mmdet.apis.settings import DataSettings
from mmdet.datasets.defects import Defect, serious
from mmdet.datasets.picture_check import check_pictures, missing_pictures
from mmdet.datasets.pictures import AnnotatedPictures
from mmdet.datasets.wrappers import own_datasets

SAMPLE = 64  # pictures that are decoded before a run; all of them by tools/check_dataset.py
SHOWN = 8  # of those that were left out


def check_before_run(dataset: Any, section: str, data: DataSettings, logger: Logger) -> None:
    """Look over a dataset in a second or two: all annotations, whether all files are there, and a sample of the pictures.

    Args:
        dataset: wrappers are looked through; datasets of other classes than this toolkit's are left alone.
        section: where it stands, such as 'data.train'.
        data: says what becomes of what cannot be used.
        logger: is told how much there is, and what is odd.

    Raises:
        DataError: something cannot be used, and is not to be skipped; or more than may be.
    """
    for own in own_datasets(dataset):
        if not isinstance(own, AnnotatedPictures):
            continue
        found = unique([*own.skipped, *own.defects()])
        pictures = missing_pictures(own) or [defect for some in check_pictures(own, sample_of(own)) for defect in some]
        logger.info('%s: %s', section, summary(own, found))
        settle(own, section, found, pictures, data, logger)


def sample_of(dataset: AnnotatedPictures) -> Sequence[int]:
    """Places of pictures, evenly spread."""
    return np.unique(np.linspace(0, len(dataset) - 1, min(SAMPLE, len(dataset))).round().astype(int)).tolist()


def unique(defects: Iterable[Defect]) -> List[Defect]:
    return list(dict.fromkeys(defects))


def settle(dataset: AnnotatedPictures, section: str, found: Sequence[Defect], pictures: Sequence[Defect], data: DataSettings,
           logger: Logger) -> None:
    """Raise what is an error; tell of what is left out.

    Args:
        found: in the annotations.
        pictures: of the files.
    """
    records, files = serious(found), serious(pictures)
    if not data.skips:
        if records or files:
            count = len(records) + len(files)
            more = f' (and {count - 1:,} more like it)' if count > 1 else ''
            raise DataError(f'{section}: {(records + files)[0].message}{more}. Mend the data: tools/check_dataset.py lists all '
                            f"that is wrong. Or leave it out: data.bad_data='skip'")
        return
    for what, bad, total in (('records', records, record_count(dataset)), ('pictures', files, len(dataset))):
        limit = max(1, math.ceil(data.max_bad_data * total))
        if len(bad) > limit:
            raise DataError(f'{section}: {bad[0].message} (and {len(bad) - 1:,} more). More {what} than may be left out cannot '
                            f'be used: {limit:,} of {total:,} may (data.max_bad_data={data.max_bad_data:g}). '
                            f'tools/check_dataset.py lists all')
        for defect in bad[:SHOWN]:
            logger.warning('%s: left out: %s', section, defect.message)
        if len(bad) > SHOWN:
            logger.warning('%s: left out: %d more %s; tools/check_dataset.py lists all', section, len(bad) - SHOWN, what)


def record_count(dataset: AnnotatedPictures) -> int:
    """Pictures and boxes of the file."""
    pictures, boxes = dataset.size_of_file()
    return pictures + boxes


def summary(dataset: AnnotatedPictures, defects: Sequence[Defect]) -> str:
    """How much a dataset has, and how often each thing is to be said of it, such as '3 x box without area'."""
    pictures, boxes = dataset.size_of_file()
    used = f', {len(dataset):,} of them used' if len(dataset) < pictures else ''
    counts = ''.join(f'; {count:,} x {kind}' for kind, count in counted(defects))
    return f'{dataset.ann_file}: {pictures:,} pictures{used}, {boxes:,} boxes of {len(dataset.CLASSES)} classes{counts}'


def counted(defects: Iterable[Defect]) -> List[Tuple[str, int]]:
    """Kinds and how often each occurs, in the order of their first occurrence."""
    return list(Counter(defect.kind for defect in defects).items())
