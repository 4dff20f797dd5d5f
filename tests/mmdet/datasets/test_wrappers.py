"""Datasets made of datasets: their order, their groups, and how they are evaluated."""
from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.core.evaluation.mean_ap import area_under_curve
from mmdet.core.evaluation.voc_metric import VocMetric, check_metrics
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.builder import DATASETS
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.wrappers import ClassBalancedDataset, ConcatDataset, RepeatDataset, repeat_factors


class Pictures(CustomDataset):
    """A dataset of classes of pictures, with one box a class; samples are its name and the index."""
    CLASSES = ('cat', 'dog', 'horse')
    check_metrics = staticmethod(check_metrics)

    def __init__(self, name, classes, flag=None):
        self.name, self.ann_file, self.classes = name, f'{name}.txt', classes
        self.flag = np.array(flag or [0] * len(classes), np.uint8)
        self.metric = VocMetric(self.CLASSES, area_under_curve)

    def __len__(self):
        return len(self.classes)

    def get_cat_ids(self, index):
        return self.classes[index]

    def sample(self, index, rng):
        return self.name, index, rng.uniform()

    def truths(self):
        boxes = [np.float32([[10 * k, 0, 10 * k + 9, 9] for k in labels]).reshape(-1, 4) for labels in self.classes]
        return [{'bboxes': b, 'labels': np.array(k, np.int64), 'bboxes_ignore': b[:0], 'labels_ignore': np.zeros(0, np.int64)}
                for b, k in zip(boxes, self.classes)]

    def evaluate(self, results, metric='mAP', logger=None, iou_thr=0.5):
        return self.metric(results, self.truths(), metric=metric, logger=logger, iou_thr=iou_thr)


class Others(Pictures):
    pass


FIRST, SECOND = Pictures('first', [[0], [1]], [1, 0]), Pictures('second', [[0, 1], [2], [1]], [1, 1, 0])


def find(*labels):
    boxes = np.float32([[10 * k, 0, 10 * k + 9, 9] for k in labels]).reshape(-1, 4)
    return Detections(boxes, np.full(len(labels), 0.5, np.float32), np.array(labels, np.int64))


def test_concatenated_datasets_follow_one_another():
    both = ConcatDataset([FIRST, SECOND, FIRST])
    assert len(both) == 7 and both.flag.tolist() == [1, 0, 1, 1, 0, 1, 0] and both.CLASSES == FIRST.CLASSES
    places = [('first', 0), ('first', 1), ('second', 0), ('second', 1), ('second', 2), ('first', 0), ('first', 1)]
    assert [both[i][:2] for i in range(7)] == places
    assert [both.get_cat_ids(i) for i in (1, 2, 5)] == [[1], [0, 1], [0]]
    assert both.sample(4, np.random.default_rng(3)) == SECOND.sample(2, np.random.default_rng(3))


def test_wrappers_nest():
    nested = RepeatDataset(ConcatDataset([FIRST, RepeatDataset(SECOND, 2)]), 2)
    assert len(nested) == 16 and nested[7][:2] == ('second', 2) and nested[8][:2] == ('first', 0)
    assert nested.get_cat_ids(15) == [1] and len(nested.flag) == 16


def test_a_config_builds_them(tmp_path, coco_folder):
    boxes = [dict(image_id=1, category_id=10, bbox=[1, 1, 9, 9]), dict(image_id=2, category_id=20, bbox=[1, 1, 9, 9])]
    coco = dict(type='CocoDataset', ann_file=str(coco_folder(tmp_path, [(50, 40), (40, 50)], boxes)), pipeline=[])
    balanced = dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=dict(type='ConcatDataset', datasets=[coco, coco]))
    found = build(dict(type='RepeatDataset', times=2, dataset=balanced), DATASETS)
    assert isinstance(found.dataset.dataset.datasets[1], CocoDataset) and len(found) == 8


def test_each_dataset_is_evaluated_by_itself():
    both, lines = ConcatDataset([FIRST, SECOND]), []
    results = [find(0), find(1), find(0, 1), find(0), find()]
    log = SimpleNamespace(info=lambda text, *rest: lines.append(text % rest))
    values = both.evaluate(results, logger=log, metric='mAP', iou_thr=0.75)
    expected = [FIRST.evaluate(results[:2], iou_thr=0.75), SECOND.evaluate(results[2:], iou_thr=0.75)]
    assert values == {f'{i}_{name}': value for i, found in enumerate(expected) for name, value in found.items()}
    assert values['0_mAP'] == 1 and 0 < values['1_mAP'] < 1
    assert both.metric_names(metric='mAP', iou_thr=0.75) == list(values)
    assert [line for line in lines if '_:' in line] == ['0_: first.txt, 2 pictures', '1_: second.txt, 3 pictures']


def test_datasets_of_one_kind_may_be_evaluated_as_one():
    both = ConcatDataset([FIRST, SECOND], separate_eval=False)
    values = both.evaluate([find(0), find(1), find(0, 1), find(0), find()], metric='mAP', iou_thr=[0.5, 0.9])
    # cats: two found, then a wrong one. dogs: two of three. horses: none of one
    assert values == {'mAP': pytest.approx((1 + 2 / 3 + 0) / 3), 'AP50': 0.556, 'AP90': 0.556}
    assert both.metric_names(metric='mAP', iou_thr=[0.5, 0.9]) == list(values)


@pytest.mark.parametrize('separate', [True, False])
def test_results_must_be_as_many_as_pictures(separate):
    with pytest.raises(ValueError, match='4 results for 5 pictures'):
        ConcatDataset([FIRST, SECOND], separate).evaluate([find()] * 4)


def test_metrics_are_those_that_all_have():
    ConcatDataset([FIRST, SECOND]).check_metrics(['mAP', 'recall'])
    with pytest.raises(ConfigError, match=r"mine\.py:3: metric 'bbox'"):
        ConcatDataset([FIRST, SECOND]).check_metrics('bbox', where='mine.py:3')


def test_what_cannot_be_concatenated_is_an_error_in_one_line(tmp_path, coco_folder):
    other = Pictures('other', [[0]])
    other.CLASSES = ('cat', 'cow')
    path = coco_folder(tmp_path, [(50, 40)], [dict(image_id=1, category_id=10, bbox=[1, 1, 9, 9])])
    coco = CocoDataset(str(path), [])
    for datasets, separate, words in [([], True, 'at least one'),
                                      ([FIRST, other], True, 'classes cat, cow, datasets.0. cat, dog, horse'),
                                      ([coco, coco], False, 'not CocoDataset; set separate_eval=True'),
                                      ([FIRST, Others('others', [[0]])], False, 'not Others and Pictures')]:
        with pytest.raises(ConfigError, match=words) as caught:
            ConcatDataset(datasets, separate)
        assert len(str(caught.value).splitlines()) == 1


def test_rare_classes_occur_as_often_as_the_paper_says():
    classes = [[0], [0], [0], [0], [0, 1], [0], [0, 2], [2], []]
    found = ClassBalancedDataset(Pictures('rare', classes, [1] + [0] * 8), 0.5)
    # f: 7/9, 1/9, 2/9; repeat factors 1, sqrt(4.5) = 2.1, sqrt(2.25) = 1.5; each rounded up
    assert found.indices.tolist() == [0, 1, 2, 3, 4, 4, 4, 5, 6, 6, 7, 7, 8]
    assert found.flag.tolist() == [1] + [0] * 12 and found.CLASSES == Pictures.CLASSES and len(found) == 13
    assert found[5][:2] == ('rare', 4) and found.get_cat_ids(5) == [0, 1]


def test_pictures_without_a_class_may_count_as_a_class():
    classes = [[0]] * 8 + [[]]
    assert len(ClassBalancedDataset(Pictures('a', classes), 0.5)) == 9
    assert len(ClassBalancedDataset(Pictures('a', classes), 0.5, filter_empty_gt=False)) == 8 + math.ceil(math.sqrt(4.5))


@given(st.lists(st.lists(st.integers(0, 4), unique=True), min_size=1, max_size=30), st.sampled_from([0.01, 0.2, 0.7, 1.0]))
def test_repeat_factors_are_the_definition(classes, threshold):
    expected = []
    for labels in classes:
        shares = [sum(label in other for other in classes) / len(classes) for label in labels]
        expected.append(max([max(1, math.sqrt(threshold / share)) for share in shares], default=1))
    assert repeat_factors(classes, threshold) == pytest.approx(expected)


@pytest.mark.parametrize('threshold', [0, -0.1, 1.5, '0.1', None])
def test_a_threshold_is_a_share(threshold):
    with pytest.raises(ConfigError, match='oversample_thr must be a share'):
        ClassBalancedDataset(FIRST, threshold)
