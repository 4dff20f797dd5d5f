"""What all datasets of pictures with boxes have in common, whatever file they are read from."""
from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple, Union

import numpy as np

from mmcv_need.arguments import listed
from mmcv_need.errors import ConfigError, DataError
from mmdet.core.evaluation.recall import PROPOSAL_NUMS
from mmdet.core.evaluation.voc_metric import VocMetric, check_metrics, metric_names
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.annotations import Annotations, Picture
from mmdet.datasets.defects import Defect, defects_of, leading_out, serious, spoilt_boxes
from mmdet.datasets.pipelines import Compose, Sample

POLICIES = ('error', 'skip')
MIN_SIDE = 32  # training leaves out pictures with a side below this, as MMDetection does


class AnnotatedPictures:
    """Pictures with boxes. The class of each kind of file reads it and hands the columns on.

    They are evaluated with VOC's metrics, unless that class has others.

    Args:
        ann_file: what was read, for messages.
        annotations: all pictures of the file.
        classes: names of the labels.
        pipeline: transforms.
        img_prefix: folder of the pictures.
        test_mode: all pictures, without their boxes; else those that are of use for training.
        filter_empty_gt: whether training leaves out pictures without annotations of the wanted classes.
        unannotated: what a test file lacks to evaluate with, for messages; '' if nothing.
        bad_data: what becomes of records that cannot be used: an 'error', or 'skip'.
        skipped: records that the class of the file has left out.

    Attributes:
        CLASSES: names of the labels.
        skipped: what is wrong with each record, box and picture that was left out.
        used_boxes: (B,) bool, which boxes of the file were not left out.
        metric: VOC's, of these classes; set by each class that is evaluated with it.
        flag: (P,) uint8 1 where the picture is wider than high: batches are of one kind.
    """

    metric: VocMetric
    check_options = staticmethod(check_metrics)  # of the evaluation, without annotations

    def __init__(self, ann_file: str, annotations: Annotations, classes: Sequence[str], pipeline: Sequence[Any],
                 img_prefix: str, test_mode: bool, filter_empty_gt: bool, unannotated: str = '', bad_data: str = 'error',
                 skipped: Sequence[Defect] = ()):
        self.ann_file = ann_file
        self.img_prefix = img_prefix
        self.test_mode = test_mode
        self.unannotated = unannotated
        self.pipeline = Compose(pipeline)
        self.CLASSES = tuple(classes)
        self.skipped = list(skipped)
        self._all = annotations
        self.used_boxes = np.ones(len(annotations.columns.bboxes), dtype=bool)
        annotations = self._sound(annotations, bad_data)
        self.annotations = annotations if test_mode else annotations.subset(_of_use(annotations, filter_empty_gt))
        if not len(self.annotations):
            raise DataError(f'{ann_file}: none of its {len(annotations)} pictures has a box of the wanted classes '
                            f'({", ".join(self.CLASSES[:5])}) and sides of {MIN_SIDE} pixels or more; check `classes`, or set '
                            f'filter_empty_gt=False')
        widths, heights = self.annotations.sizes.T
        self.flag = (widths > heights).astype(np.uint8)

    @staticmethod
    def check_arguments(classes: Union[str, Sequence[str], None] = None) -> None:
        """What can be said of the arguments without the annotation file."""
        if classes is not None:
            class_names(classes)

    def __len__(self) -> int:
        return len(self.annotations)

    def defects(self) -> List[Defect]:
        """All that is to be said of the file's pictures and boxes, but for what was skipped; see defects.py."""
        corners, unknown = self._as_given()
        return defects_of(self._all, corners, unknown, self.ann_file, MIN_SIDE)

    def size_of_file(self) -> Tuple[int, int]:
        """How many pictures, and boxes of wanted classes, the file has."""
        labels = self._all.columns.labels
        wanted = len(labels) if self._all.label_of is None else int((self._all.label_of[labels] >= 0).sum())
        return len(self._all), wanted

    def _as_given(self) -> Tuple[np.ndarray, np.ndarray]:
        """(B, 4) float64 x1, y1, x2, y2 of all boxes of the file, and (B,) bool whether a box's category is unknown."""
        corners = self._all.columns.bboxes.astype(np.float64)
        return corners, np.zeros(len(corners), dtype=bool)

    def _sound(self, annotations: Annotations, bad_data: str) -> Annotations:
        """The pictures and boxes that can be used.

        Raises:
            ConfigError: `bad_data` is no policy.
            DataError: a file name leads out of the folder of the pictures.
        """
        if bad_data not in POLICIES:
            raise ConfigError(f"bad_data {bad_data!r}: expected {' or '.join(map(repr, POLICIES))}")
        out = leading_out(annotations, self.ann_file, self.img_prefix)
        if bad_data == 'error':
            for defect in out.values():
                raise DataError(f"{defect.message}. Set img_prefix='' if the names are complete paths")
            return annotations
        self.skipped += [*out.values(), *serious(self.defects())]
        columns, (corners, unknown) = annotations.columns, self._as_given()
        masks = spoilt_boxes(corners, np.repeat(columns.sizes, np.diff(columns.first), axis=0), unknown)
        self.used_boxes = ~np.logical_or.reduce(list(masks.values()))
        used_pictures = np.setdiff1d(np.flatnonzero(annotations.sizes.min(axis=1) > 0), list(out))
        return Annotations(columns.of_boxes(self.used_boxes), annotations.label_of).subset(used_pictures)

    def get_ann_info(self, index: int) -> Dict[str, np.ndarray]:
        return self.annotations.boxes_of(index)

    def get_cat_ids(self, index: int) -> List[int]:
        """Labels of all annotations of a picture, each once."""
        return self.annotations.classes_of(index)

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """Picture `index` through the pipeline; `rng` decides everything that is random about it."""
        sample = Sample(img_info=self.annotations.info(index), img_prefix=self.img_prefix, rng=rng)
        if not self.test_mode:
            sample['ann_info'] = self.get_ann_info(index)
        self.pre_pipeline(sample)
        return self.pipeline(sample)

    def pre_pipeline(self, results: Sample) -> None:
        """What a dataset of somebody's own adds to each sample before its first transform."""

    def __getitem__(self, index: int) -> Any:
        return self.sample(index, np.random.default_rng(index))

    def require_annotations(self) -> None:
        """There are annotations to evaluate with.

        Raises:
            DataError: there are not.
        """
        if self.unannotated:
            raise DataError(f'{self.unannotated} to evaluate with; name a file that has, or only write the detections (--out)')

    def truths(self) -> List[Dict[str, np.ndarray]]:
        """What is to be found in each picture.

        Raises:
            DataError: the file does not say.
        """
        self.require_annotations()
        return [self.annotations.boxes_of(i) for i in range(len(self))]

    def check_metrics(self, metric: Union[str, Sequence[str]] = 'mAP', where: str = '',
                      proposal_nums: Union[int, Sequence[int]] = PROPOSAL_NUMS,
                      iou_thr: Union[float, Sequence[float]] = 0.5) -> None:
        """These are metrics and options of theirs (core/evaluation/voc_metric.py), and there are annotations for them."""
        check_metrics(metric, where, proposal_nums, iou_thr)
        if listed(metric):
            self.require_annotations()

    @staticmethod
    def metric_names(metric: Union[str, Sequence[str]] = 'mAP', proposal_nums: Union[int, Sequence[int]] = PROPOSAL_NUMS,
                     iou_thr: Union[float, Sequence[float]] = 0.5, **others: Any) -> List[str]:
        """Names of the numbers that `evaluate` gives, whose arguments these are."""
        return metric_names(metric, proposal_nums, iou_thr)

    def evaluate(self, results: Sequence[Detections], metric: Union[str, Sequence[str]] = 'mAP', logger: Any = None,
                 proposal_nums: Union[int, Sequence[int]] = PROPOSAL_NUMS,
                 iou_thr: Union[float, Sequence[float]] = 0.5) -> Dict[str, Any]:
        """VOC metrics of detections, one for each picture in order; see core/evaluation/voc_metric.py."""
        return self.metric(results, self.truths(), metric=metric, logger=logger, proposal_nums=proposal_nums, iou_thr=iou_thr)


def _of_use(annotations: Annotations, filter_empty_gt: bool) -> np.ndarray:
    """Indices of the pictures to train on. A picture whose boxes are all left out still counts as annotated."""
    large = annotations.sizes.min(axis=1) >= MIN_SIDE
    return np.flatnonzero(large & annotations.annotated if filter_empty_gt else large)


def usable(records: Iterable[Callable[[], Picture]], bad_data: str) -> Tuple[List[Picture], List[Defect]]:
    """The pictures of records, each of which is read by a call; and those that cannot be used, if they are to be skipped.

    Raises:
        DataError: of the first that cannot be used, if not.
    """
    pictures: List[Picture] = []
    skipped: List[Defect] = []
    for read in records:
        try:
            pictures.append(read())
        except DataError as error:
            if bad_data != 'skip':
                raise
            skipped.append(Defect('record that cannot be used', str(error)))
    return pictures, skipped


def class_names(classes: Union[str, Sequence[str]]) -> List[str]:
    """`classes` of a config: names, or a text file with one a line.

    Raises:
        DataError: no such file.
        ConfigError: a name twice, or none at all.
    """
    names = list(classes) if not isinstance(classes, str) else _lines(classes)
    if not names:
        raise ConfigError('classes: names nothing; expected the names of the classes, or None')
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ConfigError(f"classes: '{twice}' occurs twice; name each class once")
    return names


def _lines(path: str) -> List[str]:
    if not os.path.isfile(path):
        raise DataError(f"classes='{path}': no such text file; for a single class write classes=('{path}', )")
    with open(path, encoding='utf-8-sig') as file:  # some editors of Windows mark it so
        return [line.strip() for line in file if line.strip()]
