"""Datasets with COCO annotations."""
from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np

from mmcv_need.errors import DataError
from mmdet.core.evaluation.coco_metric import CocoMetric, check_metrics
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.datasets.coco_reader import choose_categories, load_json, to_columns
from mmdet.datasets.pipelines import Compose, Sample

MIN_SIDE = 32  # training leaves out pictures with a side below this, as MMDetection does


@DATASETS.register_module(parts=dict(pipeline=PIPELINES))
class CocoDataset:
    """Pictures and boxes of a COCO annotation file.

    Labels follow the order of the file's categories, as in MMDetection; so do the names in `CLASSES`.

    Args:
        ann_file: the json.
        pipeline: transforms.
        classes: names of the wanted categories, or a text file with one a line; None means COCO's 80 where the file has
            them, else all of the file.
        data_root: goes before `ann_file` and `img_prefix` where those are relative.
        img_prefix: folder of the pictures.
        test_mode: all pictures, without their boxes.
        filter_empty_gt: whether training leaves out pictures without annotations of the wanted classes.
    """
    CLASSES = COCO_CLASSES
    check_metrics = staticmethod(check_metrics)

    def __init__(self, ann_file: str, pipeline: Sequence[Any], classes: Union[str, Sequence[str], None] = None,
                 data_root: Optional[str] = None, img_prefix: str = '', test_mode: bool = False, filter_empty_gt: bool = True):
        self.ann_file = os.path.join(data_root or '', ann_file)
        self.img_prefix = os.path.join(data_root or '', img_prefix)
        self.test_mode = test_mode
        self.pipeline = Compose(pipeline)
        content = load_json(self.ann_file)
        wanted = _class_names(classes)
        self.cat_ids, names = choose_categories(self.ann_file, content, wanted)
        if wanted is None and set(self.CLASSES) <= set(names):
            self.cat_ids, names = choose_categories(self.ann_file, content, self.CLASSES)
        self.CLASSES = tuple(names)
        self.annotations = to_columns(self.ann_file, content, self.cat_ids)
        if not test_mode:
            self.annotations = self.annotations.subset(self._usable(filter_empty_gt))
        if not len(self.annotations):
            raise DataError(f'{self.ann_file}: none of its {len(content["images"])} pictures has a box of the wanted classes '
                            f'({", ".join(names[:5])}) and sides of {MIN_SIDE} pixels or more; check `classes`, or set '
                            f'filter_empty_gt=False')
        self._metric: Optional[CocoMetric] = None
        widths, heights = self.annotations.sizes.T
        self.flag = (widths > heights).astype(np.uint8)  # the sampler makes batches of one kind

    def _usable(self, filter_empty_gt: bool) -> np.ndarray:
        """Indices of the pictures to train on. A picture whose boxes are all left out still counts as annotated."""
        large = self.annotations.sizes.min(axis=1) >= MIN_SIDE
        return np.flatnonzero(large & self.annotations.annotated if filter_empty_gt else large)

    def __len__(self) -> int:
        return len(self.annotations)

    def get_ann_info(self, index: int) -> Dict[str, np.ndarray]:
        return self.annotations.boxes_of(index)

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """Picture `index` through the pipeline; `rng` decides everything that is random about it."""
        sample = Sample(img_info=self.annotations.info(index), img_prefix=self.img_prefix, rng=rng)
        if not self.test_mode:
            sample['ann_info'] = self.get_ann_info(index)
        return self.pipeline(sample)

    def __getitem__(self, index: int) -> Any:
        return self.sample(index, np.random.default_rng(index))

    def evaluate(self, results: Sequence[Detections], metric: Union[str, Sequence[str]] = 'bbox', logger: Any = None,
                 classwise: bool = False) -> Dict[str, Any]:
        """COCO metrics of detections, one for each picture in order; see core/evaluation/coco_metric.py."""
        if self._metric is None:
            self._metric = CocoMetric(load_json(self.ann_file), self.annotations.ids, self.cat_ids, self.CLASSES)
        return self._metric(results, metric=metric, logger=logger, classwise=classwise)


def _class_names(classes: Union[str, Sequence[str], None]) -> Optional[List[str]]:
    if not isinstance(classes, str):
        return None if classes is None else list(classes)
    if not os.path.isfile(classes):
        raise DataError(f"classes='{classes}': no such text file; for a single class write classes=('{classes}', )")
    with open(classes, encoding='utf-8') as file:
        return [line.strip() for line in file if line.strip()]
