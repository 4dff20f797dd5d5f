"""WIDER FACE, with its annotations as XML files like PASCAL VOC's."""
from __future__ import annotations

import os
from functools import partial
from typing import Any, Optional, Sequence, Union
from xml.etree.ElementTree import Element

from mmcv_need.errors import ConfigError, DataError
from mmdet.core.evaluation.mean_ap import area_under_curve
from mmdet.core.evaluation.voc_metric import VocMetric
from mmdet.datasets.annotations import in_columns
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.datasets.defects import leads_out
from mmdet.datasets.pictures import AnnotatedPictures, class_names, usable
from mmdet.datasets.voc_reader import read_ids, read_picture

WHERE_WIDER_GOES = ('Unpack WIDER FACE and its XML files so that data/WIDERFace/ holds train.txt, val.txt, WIDER_train/ and '
                    'WIDER_val/, both with Annotations/ and a folder an event (data/README.md), or say where it is: '
                    '--data-root DIR')


@DATASETS.register_module(parts=dict(pipeline=PIPELINES))
class WIDERFaceDataset(AnnotatedPictures):
    """Pictures and faces of WIDER FACE. Difficult boxes are ignored.

    The XML of a picture is img_prefix/Annotations/NAME.xml, and the picture img_prefix/FOLDER/NAME.jpg with the `folder` that
    the XML names: one an event, such as 0--Parade. AP is the area under the curve, of boxes whose sides are their
    coordinates' differences, as MMDetection 2.x evaluates this dataset; its easy, medium and hard sets are not told apart.

    Args:
        ann_file: list of names, one a line, such as train.txt.
        pipeline: transforms.
        classes: names of the wanted classes, or a text file with one a line; None means 'face'.
        data_root: goes before `ann_file` and `img_prefix` where those are relative.
        img_prefix: such as WIDER_train/.
        test_mode: all pictures, without their boxes.
        filter_empty_gt: whether training leaves out pictures without faces.
        min_size: in training, boxes with a side below this are ignored.
        ann_subdir: folder of the XML files in `img_prefix`.
        bad_data: whether an XML that cannot be used is an 'error', or its picture to be left out: 'skip'.
    """
    CLASSES = ('face',)

    def __init__(self, ann_file: str, pipeline: Sequence[Any], classes: Union[str, Sequence[str], None] = None,
                 data_root: Optional[str] = None, img_prefix: str = '', test_mode: bool = False, filter_empty_gt: bool = True,
                 min_size: Optional[float] = None, ann_subdir: str = 'Annotations', bad_data: str = 'error'):
        path, folder = os.path.join(data_root or '', ann_file), os.path.join(data_root or '', img_prefix)
        self.check_arguments(classes, test_mode, min_size)
        names = list(self.CLASSES) if classes is None else class_names(classes)
        label_of = {name: label for label, name in enumerate(names)}
        files = ((os.path.join(folder, ann_subdir, f'{name}.xml'), name) for name in read_ids(path, WHERE_WIDER_GOES))
        pictures, skipped = usable((partial(read_picture, xml, name, folder, label_of, partial(_file_name, xml, name),
                                            min_size or 0, WHERE_WIDER_GOES) for xml, name in files), bad_data)
        super().__init__(path, in_columns(pictures), names, pipeline, folder, test_mode, filter_empty_gt, bad_data=bad_data,
                         skipped=skipped)
        self.metric = VocMetric(names, area_under_curve)

    @staticmethod
    def check_arguments(classes: Union[str, Sequence[str], None] = None, test_mode: bool = False,
                        min_size: Optional[float] = None) -> None:
        AnnotatedPictures.check_arguments(classes)
        if min_size and test_mode:
            raise ConfigError('min_size is for training: in a test every box counts. Remove it, or test_mode')


def _file_name(xml: str, name: str, root: Element) -> str:
    """A picture's file: in the folder of its event, which the XML names.

    Raises:
        DataError: it names none, or one elsewhere.
    """
    folder = (root.findtext('folder') or '').strip()
    if not folder:
        raise DataError(f"{xml}: annotation has no 'folder'; expected that of the picture, such as 0--Parade")
    if leads_out(folder):
        raise DataError(f'{xml}: folder {folder!r:.60} leads out of the folder of pictures; expected one like 0--Parade')
    return f'{folder}/{name}.jpg'
