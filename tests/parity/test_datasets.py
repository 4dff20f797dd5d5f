"""What datasets make of files, and VOC's metric, compared with MMDetection (tests/parity/data/README.md)."""
from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from mmdet.apis.results import coco_results
from mmdet.core.evaluation.mean_ap import area_under_curve, average_precisions, eleven_point_mean, mean_average_precision
from mmdet.core.evaluation.voc_metric import VocMetric
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.coco import CocoDataset

DATA = Path(__file__).parent / 'data'
SETTINGS = {'': None, 'subset_': ('car', 'person')}


@pytest.fixture(scope='module')
def expected():
    return json.loads((DATA / 'coco_dataset.json').read_text())


def tiny(classes=None, **more):
    with warnings.catch_warnings():  # of the order of the classes
        warnings.simplefilter('ignore', UserWarning)
        return CocoDataset(str(DATA / 'tiny_coco.json'), [], classes=classes, **more)


@pytest.fixture(scope='module')
def results():
    """Detections of each picture, class by class."""
    found = []
    for classes in json.loads((DATA / 'tiny_dets.json').read_text()):
        rows = np.concatenate([np.reshape(rows, (-1, 5)) for rows in classes]).astype(np.float32)
        labels = np.concatenate([np.full(len(rows), label, np.int64) for label, rows in enumerate(classes)])
        found.append(Detections(rows[:, :4], rows[:, 4], labels))
    return found


@pytest.mark.parametrize('prefix', SETTINGS, ids=['all', 'subset'])
def test_labels_are_equal(prefix, expected):
    assert {str(number): k for k, number in enumerate(tiny(SETTINGS[prefix]).cat_ids)} == expected[f'{prefix}cat2label']


def test_the_pictures_of_training_and_test_and_their_groups_are_equal(expected):
    train = tiny()
    assert train.annotations.ids.tolist() == expected['train_ids'] and train.flag.tolist() == expected['train_flag']
    assert tiny(SETTINGS['subset_']).annotations.ids.tolist() == expected['subset_ids']
    assert tiny(test_mode=True).annotations.ids.tolist() == expected['test_ids']


@pytest.mark.parametrize('prefix, test_mode', [('', True), ('subset_', False)], ids=['all', 'subset'])
def test_the_boxes_of_every_picture_are_equal(prefix, test_mode, expected):
    """Crowds are ignored; `ignore`, foreign categories, and boxes outside, without area or below a pixel are left out."""
    found = tiny(SETTINGS[prefix], test_mode=test_mode)
    assert len(found) == len(expected[f'{prefix}ann'])
    for picture, ann in enumerate(expected[f'{prefix}ann']):
        info = found.get_ann_info(picture)
        for key in ('bboxes', 'bboxes_ignore'):
            np.testing.assert_array_equal(info[key], np.reshape(ann[key], (-1, 4)), err_msg=f'{key} of picture {picture}')
        assert info['labels'].tolist() == ann['labels']


def test_records_of_a_result_file_are_equal(expected, results):
    found = coco_results(results, tiny(test_mode=True))[:3]
    for ours, theirs in zip(found, expected['format_first3']):
        assert ours['bbox'] == pytest.approx(theirs['bbox'], rel=1e-6)
        assert {**ours, 'bbox': 0} == {**theirs, 'bbox': 0}


@pytest.fixture(scope='module')
def truths(expected):
    """The stored annotations, and one box more, as MMDetection counted it.

    `ignore` of an annotation is set to `iscrowd` by COCO's evaluation; `eval_map` came after one, so the box with `ignore`
    of picture 6 was to be found.
    """
    image, = (i for i, number in enumerate(expected['test_ids']) if number == 6)
    found = []
    for i, ann in enumerate(expected['ann']):
        boxes, labels = list(ann['bboxes']), list(ann['labels'])
        if i == image:
            boxes, labels = [*boxes, [7, 10, 27, 30]], [*labels, expected['cat2label']['2']]
        found.append({'bboxes': np.float32(boxes).reshape(-1, 4), 'labels': np.array(labels, np.int64),
                      'bboxes_ignore': np.float32(ann['bboxes_ignore']).reshape(-1, 4),
                      'labels_ignore': np.full(len(ann['bboxes_ignore']), -1)})
    return found


@pytest.mark.parametrize('name, average', [('eval_map_area', area_under_curve), ('eval_map_voc07', eleven_point_mean)])
def test_average_precisions_are_equal(name, average, expected, results, truths):
    classes, = average_precisions(results, truths, 6, [0.5], average)
    assert [c.ap for c in classes] == pytest.approx(expected[name]['ap'], abs=1e-7)  # stored as float32
    assert mean_average_precision(classes) == pytest.approx(expected[name]['mAP'], abs=1e-7)
    values = VocMetric('abcdef', average)(results, truths)
    assert values['mAP'] == pytest.approx(expected[name]['mAP'], abs=1e-7)
    assert values['AP50'] == round(expected[name]['mAP'], 3)
