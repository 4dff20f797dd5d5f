"""PASCAL VOC."""
from __future__ import annotations

import os
from functools import partial
from typing import Any, Optional, Sequence, Union

from mmcv_need.errors import ConfigError
from mmdet.core.evaluation.mean_ap import area_under_curve, eleven_point_mean
from mmdet.core.evaluation.voc_metric import VocMetric
from mmdet.datasets.annotations import in_columns
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.datasets.pictures import AnnotatedPictures, class_names, usable
from mmdet.datasets.voc_classes import VOC_CLASSES
from mmdet.datasets.voc_reader import read_ids, read_picture


@DATASETS.register_module(parts=dict(pipeline=PIPELINES))
class VOCDataset(AnnotatedPictures):
    """Pictures and boxes of one year of PASCAL VOC. Difficult boxes are ignored.

    Args:
        ann_file: list of pictures, such as VOC2007/ImageSets/Main/trainval.txt.
        pipeline: transforms.
        classes: names of the wanted classes, in the order of their labels, or a text file with one a line; None means VOC's
            20 in alphabetical order.
        data_root: goes before `ann_file` and `img_prefix` where those are relative.
        img_prefix: folder of the year, with VOC2007 or VOC2012 in its name. The year decides how AP is averaged.
        test_mode: all pictures, without their boxes.
        filter_empty_gt: whether training leaves out pictures without objects of the wanted classes.
        min_size: in training, boxes with a side below this are ignored.
        img_subdir, ann_subdir: folders of pictures and XML files in `img_prefix`.
        bad_data: whether an XML that cannot be used is an 'error', or its picture to be left out: 'skip'.
    """
    CLASSES = VOC_CLASSES

    def __init__(self, ann_file: str, pipeline: Sequence[Any], classes: Union[str, Sequence[str], None] = None,
                 data_root: Optional[str] = None, img_prefix: str = '', test_mode: bool = False, filter_empty_gt: bool = True,
                 min_size: Optional[float] = None, img_subdir: str = 'JPEGImages', ann_subdir: str = 'Annotations',
                 bad_data: str = 'error'):
        path, folder = os.path.join(data_root or '', ann_file), os.path.join(data_root or '', img_prefix)
        self.check_arguments(classes, data_root, img_prefix, test_mode, min_size)
        self.year = _year(folder)
        names = list(self.CLASSES) if classes is None else class_names(classes)
        label_of = {name: label for label, name in enumerate(names)}
        pictures, skipped = usable((partial(read_picture, os.path.join(folder, ann_subdir, f'{number}.xml'), number, folder,
                                            label_of, lambda root, number=number: f'{img_subdir}/{number}.jpg', min_size or 0)
                                    for number in read_ids(path)), bad_data)
        super().__init__(path, in_columns(pictures), names, pipeline, folder, test_mode, filter_empty_gt, bad_data=bad_data,
                         skipped=skipped)
        # VOC's pixels have an extent: a box from 3 to 3 is one pixel wide
        self.metric = VocMetric(names, eleven_point_mean if self.year == 2007 else area_under_curve, extent=1)

    @staticmethod
    def check_arguments(classes: Union[str, Sequence[str], None] = None, data_root: Optional[str] = None, img_prefix: str = '',
                        test_mode: bool = False, min_size: Optional[float] = None) -> None:
        AnnotatedPictures.check_arguments(classes)
        _year(os.path.join(data_root or '', img_prefix))
        if min_size and test_mode:
            raise ConfigError('min_size is for training: in a test every box counts. Remove it, or test_mode')


def _year(folder: str) -> int:
    for year in (2007, 2012):
        if f'VOC{year}' in folder:
            return year
    raise ConfigError(f"img_prefix '{folder}': expected VOC2007 or VOC2012 in the path: the year decides how AP is averaged")
