"""CustomDataset: lists of pictures with boxes, as json or pickle, and what it says of records with faults."""
from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from mmcv_need.errors import DataError
from mmdet.core.evaluation.mean_ap import area_under_curve
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.custom import CustomDataset

CLASSES = ('cat', 'dog', 'horse')


def record(name='a.jpg', size=(100, 80), bboxes=((1, 2, 30, 40.5), (5, 5, 9, 9)), labels=(2, 0), **ignored):
    return {'filename': name, 'width': size[0], 'height': size[1],
            'ann': {'bboxes': [list(box) for box in bboxes], 'labels': list(labels), **ignored}}


@pytest.fixture
def dataset(tmp_path):
    def make(*records, **arguments):
        path = tmp_path / 'list.json'
        path.write_text(json.dumps(records))
        return CustomDataset(str(path), arguments.pop('pipeline', []), CLASSES, **arguments)
    return make


def refused(action, *arguments, **named):
    with pytest.raises(DataError) as caught:
        action(*arguments, **named)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_boxes_are_taken_as_they_are(dataset):
    found = dataset(record(bboxes_ignore=[[0, 0, 7, 7]], labels_ignore=[1])).get_ann_info(0)
    assert found['bboxes'].tolist() == [[1, 2, 30, 40.5], [5, 5, 9, 9]] and found['bboxes'].dtype == np.float32
    assert found['labels'].tolist() == [2, 0] and found['labels'].dtype == np.int64
    assert found['bboxes_ignore'].tolist() == [[0, 0, 7, 7]] and found['labels_ignore'].tolist() == [1]


def test_ignored_boxes_without_labels_are_of_no_class(dataset):
    found = dataset(record(bboxes_ignore=[[0, 0, 7, 7]]))
    assert found.get_ann_info(0)['labels_ignore'].tolist() == [-1] and found.get_cat_ids(0) == [0, 2]


def test_classes_of_ignored_boxes_do_not_count_as_in_mmdetection(dataset):
    found = dataset(record(labels=(2, 2), bboxes_ignore=[[0, 0, 7, 7]], labels_ignore=[1]))
    assert found.get_cat_ids(0) == [2]


def test_a_test_needs_no_annotations_but_an_evaluation_does(dataset):
    bare = {'filename': 'b.jpg', 'width': 100, 'height': 80}
    found = dataset(record(), bare, test_mode=True)
    assert len(found) == 2 and found.get_ann_info(1)['labels'].shape == (0,) and len(found.get_ann_info(0)['labels']) == 2
    found.check_metrics([])
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    for action in (lambda: found.evaluate([nothing] * 2), lambda: found.check_metrics('mAP'), found.truths):
        message = refused(action)
        assert "list.json: record 1 has no 'ann' to evaluate with" in message and '--out' in message
    assert "record 1: has no 'ann'" in refused(dataset, record(), bare)
    assert "record 0.ann: has no 'bboxes'" in refused(dataset, {**bare, 'ann': {}}, test_mode=True)
    assert "record 0: has no 'ann'" in refused(dataset, 7, test_mode=True)


def test_a_pickle_of_arrays_says_the_same_as_a_json(tmp_path, dataset):
    records = [record(bboxes_ignore=[[0, 0, 7, 7]], labels_ignore=[1]), record('b.jpg', (80, 100))]
    arrays = copy.deepcopy(records)
    for item in arrays:
        item['ann'] = {key: np.array(value, np.float32 if 'bbox' in key else np.int64) for key, value in item['ann'].items()}
    arrays[1]['ann'].update(bboxes_ignore=np.zeros((0, 4), np.float32), labels_ignore=np.zeros(0, np.int64))
    path = tmp_path / 'list.pkl'
    path.write_bytes(pickle.dumps(arrays))
    for ours, theirs in zip(CustomDataset(str(path), [], CLASSES).annotations.columns, dataset(*records).annotations.columns):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('empty', [[], None])
def test_no_boxes_may_be_an_empty_list_or_none(dataset, empty):
    item = record(labels=(), bboxes=(), bboxes_ignore=empty)
    item['ann']['bboxes'] = empty
    assert dataset(item, filter_empty_gt=False).get_ann_info(0)['bboxes'].shape == (0, 4)


def test_training_leaves_out_small_and_empty_pictures_and_a_test_none(dataset):
    records = [record('a'), record('b', (31, 90)), record('c', bboxes=(), labels=()), record('d', (80, 100)),
               record('e', bboxes=(), labels=(), bboxes_ignore=[[0, 0, 5, 5]])]
    found = dataset(*records)
    assert found.annotations.file_names == ['a', 'd', 'e'] and found.flag.tolist() == [1, 0, 1]
    assert found.annotations.ids.tolist() == [0, 3, 4]  # places in the file
    assert dataset(*records, filter_empty_gt=False).annotations.file_names == ['a', 'c', 'd', 'e']
    assert len(dataset(*records, test_mode=True)) == 5


def test_a_sample_goes_through_the_pipeline(dataset):
    seen = []
    found = dataset(record(), img_prefix='pictures', data_root='/root', pipeline=[lambda sample: seen.append(sample) or 7])
    assert found[0] == 7 and seen[0]['img_prefix'] == '/root/pictures'
    assert seen[0]['img_info'] == {'filename': 'a.jpg', 'id': 0, 'width': 100, 'height': 80} and 'ann_info' in seen[0]


def test_a_data_root_goes_before_a_relative_file(dataset, tmp_path):
    dataset(record())
    found = CustomDataset('list.json', [], CLASSES, data_root=str(tmp_path))
    assert found.ann_file == str(tmp_path / 'list.json') and found.img_prefix == str(tmp_path) + '/'


def test_detections_are_evaluated_by_area_and_plain_coordinates(dataset):
    found = dataset(record(bboxes=[(0, 0, 10, 10), (50, 50, 60, 60)], labels=[0, 0]), test_mode=True)
    half = Detections(np.float32([[0, 0, 10, 5], [50, 50, 60, 60]]), np.float32([0.9, 0.8]), np.array([0, 0]))
    assert found.evaluate([half]) == {'mAP': 1.0, 'AP50': 1.0}  # 0.5 exactly is enough
    assert found.evaluate([half], iou_thr=[0.5, 0.52]) == {'mAP': 0.625, 'AP50': 1.0, 'AP52': 0.25}
    assert found.metric.average is area_under_curve and found.metric.extent == 0
    assert found.evaluate([half], metric='recall', proposal_nums=[1], iou_thr=0.52) == {'recall@1@0.52': 0.0}
    found.check_metrics(['mAP', 'recall'])


def without(key, part=None):
    item = record()
    del (item if part is None else item[part])[key]
    return item


@pytest.mark.parametrize('item, words', [
    (7, "has no 'ann'"), (without('filename'), "has no 'filename'"),
    (record(5), 'filename is 5; expected text'), (record(None), 'filename is None'), (without('width'), "has no 'width'"),
    (without('ann'), "has no 'ann'"), (without('labels', 'ann'), "ann: has no 'labels'"),
    ({**record(), 'ann': [1]}, "ann: has no 'bboxes'"), (record(size=('wide', 3)), "width is 'wide'; expected a whole number"),
    (record(size=(3.5, 3)), "width is '3.5'"), (record(labels=[1]), "ann.labels is '[1]'; expected whole numbers of shape (2)"),
    (record(labels=[1, 1.5]), 'ann.labels'), (record(labels=[1, 3]), 'ann.labels has 3; expected 0 to 2'),
    (record(labels=[1, -1]), 'ann.labels has -1'), (record(bboxes=[(1, 2, 3)], labels=[1]), 'ann.bboxes'),
    (record(bboxes=[(1, 2, 3, 4), (1, 2, 3)]), 'ann.bboxes'), (record(bboxes=[(1, 2, 3, 'x')], labels=[1]), 'ann.bboxes'),
    ({**record(), 'ann': {'bboxes': 5, 'labels': []}}, 'ann.bboxes'),
    (record(bboxes_ignore=[[0, 0, 7, 7]], labels_ignore=[]), 'ann.labels_ignore'),
    (record(bboxes_ignore=[[0, 0, 7, 7]], labels_ignore=[3]), 'ann.labels_ignore has 3; expected -1 to 2'),
    (record(bboxes_ignore=[0, 0, 7, 7]), 'ann.bboxes_ignore')])
def test_a_record_with_a_fault_is_named(dataset, item, words):
    message = refused(dataset, record(), item)
    assert 'list.json: record 1' in message and words in message


@pytest.mark.parametrize('name, content, words', [
    ('a.json', b'[1,\n2', 'a.json:2: not valid JSON'), ('a.json', b'{}', 'expected a list of records'),
    ('a.txt', b'', 'ends in .json, .pkl or .pickle'), ('a.pkl', b'nonsense', 'a.pkl'), ('a.pkl', pickle.dumps({}), 'a list')])
def test_a_file_that_is_no_list_is_an_error(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    message = refused(CustomDataset, str(tmp_path / name), [], CLASSES)
    assert str(tmp_path / name) in message and words in message


def test_a_missing_file_and_an_empty_list_are_errors(tmp_path, dataset):
    assert 'no such annotation file' in refused(CustomDataset, str(tmp_path / 'none.pkl'), [], CLASSES)
    assert 'none of its 0 pictures' in refused(dataset)
    assert 'check `classes`' in refused(dataset, record(size=(10, 10)))
