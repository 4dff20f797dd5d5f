"""What all datasets of pictures with boxes have in common, whatever file they are read from."""
from __future__ import annotations

import os
from typing import Any, Dict, List, Sequence, Union

import numpy as np

from mmcv_need.errors import DataError
from mmdet.datasets.annotations import Annotations
from mmdet.datasets.pipelines import Compose, Sample

MIN_SIDE = 32  # training leaves out pictures with a side below this, as MMDetection does


class AnnotatedPictures:
    """Pictures with boxes. The class of each kind of file reads it and hands the columns on.

    Args:
        ann_file: what was read, for messages.
        annotations: all pictures of the file.
        classes: names of the labels.
        pipeline: transforms.
        img_prefix: folder of the pictures.
        test_mode: all pictures, without their boxes; else those that are of use for training.
        filter_empty_gt: whether training leaves out pictures without annotations of the wanted classes.

    Attributes:
        CLASSES: names of the labels.
        flag: (P,) uint8 1 where the picture is wider than high: batches are of one kind.
    """

    def __init__(self, ann_file: str, annotations: Annotations, classes: Sequence[str], pipeline: Sequence[Any],
                 img_prefix: str, test_mode: bool, filter_empty_gt: bool):
        self.ann_file = ann_file
        self.img_prefix = img_prefix
        self.test_mode = test_mode
        self.pipeline = Compose(pipeline)
        self.CLASSES = tuple(classes)
        self.annotations = annotations if test_mode else annotations.subset(_of_use(annotations, filter_empty_gt))
        if not len(self.annotations):
            raise DataError(f'{ann_file}: none of its {len(annotations)} pictures has a box of the wanted classes '
                            f'({", ".join(self.CLASSES[:5])}) and sides of {MIN_SIDE} pixels or more; check `classes`, or set '
                            f'filter_empty_gt=False')
        widths, heights = self.annotations.sizes.T
        self.flag = (widths > heights).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.annotations)

    def get_ann_info(self, index: int) -> Dict[str, np.ndarray]:
        return self.annotations.boxes_of(index)

    def truths(self) -> List[Dict[str, np.ndarray]]:
        """What is to be found in each picture."""
        return [self.get_ann_info(i) for i in range(len(self))]

    def get_cat_ids(self, index: int) -> List[int]:
        """Labels of all annotations of a picture, each once."""
        return self.annotations.classes_of(index)

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """Picture `index` through the pipeline; `rng` decides everything that is random about it."""
        sample = Sample(img_info=self.annotations.info(index), img_prefix=self.img_prefix, rng=rng)
        if not self.test_mode:
            sample['ann_info'] = self.get_ann_info(index)
        return self.pipeline(sample)

    def __getitem__(self, index: int) -> Any:
        return self.sample(index, np.random.default_rng(index))


def _of_use(annotations: Annotations, filter_empty_gt: bool) -> np.ndarray:
    """Indices of the pictures to train on. A picture whose boxes are all left out still counts as annotated."""
    large = annotations.sizes.min(axis=1) >= MIN_SIDE
    return np.flatnonzero(large & annotations.annotated if filter_empty_gt else large)


def class_names(classes: Union[str, Sequence[str]]) -> List[str]:
    """`classes` of a config: names, or a text file with one a line.

    Raises:
        DataError: no such file.
    """
    if not isinstance(classes, str):
        return list(classes)
    if not os.path.isfile(classes):
        raise DataError(f"classes='{classes}': no such text file; for a single class write classes=('{classes}', )")
    with open(classes, encoding='utf-8') as file:
        return [line.strip() for line in file if line.strip()]
