"""Files of detections: what is written, what is read again, and what is refused."""
from __future__ import annotations

import json
import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from mmcv_need.errors import DataError, UserError
from mmdet.apis.results import check_writable, coco_results, prepare_folder, read_results, write_results
from mmdet.core.post_processing.detections import Detections


class Pictures:
    """Three pictures and three classes, neither in the order of their ids."""
    ann_file = 'annotations.json'
    CLASSES = ('car', 'cat', 'dog')
    cat_ids = (7, 2, 40)
    annotations = SimpleNamespace(ids=np.array([20, 3, 11]))

    def __len__(self):
        return 3


def detections(*counts, seed=0):
    """One for each picture, best first."""
    rng = np.random.RandomState(seed)
    found = []
    for count in counts:
        corner, size = rng.uniform(0, 300, (2, count, 2))
        found.append(Detections(np.concatenate([corner, corner + size], axis=1).astype(np.float32),
                                np.sort(rng.rand(count).astype(np.float32))[::-1], rng.randint(0, 3, count)))
    return found


def assert_same(results, expected):
    assert len(results) == len(expected)
    for found, wanted in zip(results, expected):
        for column, other in zip(found, wanted):
            assert column.shape == other.shape and np.array_equal(column, other)


@pytest.mark.parametrize('name', ['found.json', 'found.pkl', 'found.pickle'])
@pytest.mark.parametrize('counts', [(5, 0, 9), (0, 0, 0), (1, 1, 1), (0, 0, 4)])
def test_what_was_written_is_read_again(tmp_path, name, counts):
    path, results = str(tmp_path / name), detections(*counts)
    write_results(path, results, Pictures())
    assert_same(read_results(path, Pictures()), results)


def test_the_pickle_is_mmdetections_list_of_lists_of_arrays(tmp_path):
    results = detections(5, 0, 9)
    write_results(str(tmp_path / 'found.pkl'), results, Pictures())
    nested = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    assert [[array.shape[1:] for array in picture] for picture in nested] == [[(5,)] * 3] * 3
    assert all(array.dtype == np.float32 for picture in nested for array in picture)
    for picture, found in zip(nested, results):
        for label, array in enumerate(picture):
            mine = found.labels == label
            assert np.array_equal(array, np.column_stack([found.bboxes[mine], found.scores[mine]]))


def test_the_records_are_those_of_a_loop_over_all_boxes():
    results = detections(5, 0, 9)
    expected = [{'image_id': image_id, 'score': float(score), 'category_id': Pictures.cat_ids[label],
                 'bbox': [float(x1), float(y1), float(x2) - float(x1), float(y2) - float(y1)]}
                for image_id, found in zip([20, 3, 11], results) for label in range(3)
                for (x1, y1, x2, y2), score, own in zip(*found) if own == label]
    records = coco_results(results, Pictures())
    assert records == expected
    assert all(type(record['image_id']) is type(record['category_id']) is int for record in records)


def test_a_json_need_not_be_in_any_order_and_keeps_double_precision(tmp_path):
    records = [{'image_id': 11, 'category_id': 2, 'bbox': [0.1, 2, 0.2, 5], 'score': 0.1, 'id': 4},
               {'image_id': 20, 'category_id': 40, 'bbox': [1, 2, 3, 4], 'score': 1},
               {'image_id': 11, 'category_id': 7, 'bbox': [1.5, 2, 3, 4], 'score': 0.3}]
    (tmp_path / 'found.json').write_text(json.dumps(records))
    first, second, third = read_results(str(tmp_path / 'found.json'), Pictures())
    assert len(second.scores) == 0 and first.bboxes.tolist() == [[1, 2, 4, 6]] and first.labels.tolist() == [2]
    assert third.scores.tolist() == [0.3, 0.1] and third.labels.tolist() == [0, 1]
    assert third.bboxes.tolist() == [[1.5, 2, 4.5, 6], [0.1, 2, 0.1 + 0.2, 7]]


def test_of_pictures_with_masks_the_boxes_are_read(tmp_path):
    results = detections(2, 0, 1)
    nested = [(found.by_class(3), [[] for _ in range(3)]) for found in results]
    (tmp_path / 'found.pkl').write_bytes(pickle.dumps(nested))
    assert_same(read_results(str(tmp_path / 'found.pkl'), Pictures()), results)


ROW = np.zeros((1, 5), np.float32)


@pytest.mark.parametrize('value, words', [
    ({'boxes': 1}, ['holds a dict', 'expected a list']),
    ([[ROW] * 3] * 4, ['holds 4 pictures', '(annotations.json) has 3']),
    ([[ROW] * 3, [ROW] * 80, [ROW] * 3], ['picture 1 holds 80 classes', 'the 3 classes']),
    ([[ROW] * 3, ROW, [ROW] * 3], ['picture 1 holds a ndarray']),
    ([[ROW] * 3, [ROW, ROW[:, :4], ROW], [ROW] * 3], ["picture 1, class 'cat'", '(n, 5)']),
    ([[ROW] * 3, [ROW, ROW, None], [ROW] * 3], ["picture 1, class 'dog'"]),
    ([[ROW * np.nan] * 3] * 3, ["picture 0, class 'car'", 'finite'])])
def test_a_pickle_that_is_not_of_this_dataset_is_one_line(tmp_path, value, words):
    path = tmp_path / 'found.pkl'
    path.write_bytes(pickle.dumps(value))
    with np.errstate(invalid='ignore'), pytest.raises(DataError) as error:
        read_results(str(path), Pictures())
    message = str(error.value)
    assert message.startswith(f'{path}: ') and all(word in message for word in words) and '\n' not in message


GOOD = {'image_id': 3, 'category_id': 7, 'bbox': [1, 2, 3, 4], 'score': 0.5}


@pytest.mark.parametrize('text, words', [
    (json.dumps({'annotations': []}), ['not a COCO result file', 'a dict']),
    ('[{"image_id": 3,\n]', [':2: not valid JSON']),
    (json.dumps([GOOD, {**GOOD, 'image_id': 4}]), ['[1].image_id is 4', 'no picture of the dataset (annotations.json)']),
    (json.dumps([GOOD, {**GOOD, 'category_id': 1}]), ['[1].category_id is 1', 'no class of the dataset (car, cat, dog']),
    (json.dumps([GOOD, {'image_id': 3, 'category_id': 7, 'bbox': [1, 2, 3, 4]}]), ["[1] has no 'score'"]),
    (json.dumps([GOOD, 5]), ["[1] has no 'image_id'"]),
    (json.dumps([GOOD, {**GOOD, 'bbox': [1, 2, 3]}]), ['[1] has bbox [1, 2, 3]']),
    (json.dumps([{**GOOD, 'bbox': 'all'}]), ["[0] has bbox 'all'"]),
    (json.dumps([GOOD, {**GOOD, 'score': None}]), ['[1] has bbox', 'score None']),
    (json.dumps([GOOD, {**GOOD, 'bbox': [1, 2, 3, None]}]), ['[1] has bbox [1, 2, 3, None]']),
    (json.dumps([{**GOOD, 'bbox': [1, 2, 3]}] * 5), ['[0] has bbox [1, 2, 3]']),
    (json.dumps([{**GOOD, 'image_id': [3]}]), ['[0].image_id is [3]']),
    (json.dumps([{**GOOD, 'score': float('nan')}]), [':1: not valid JSON'])])
def test_a_json_that_is_not_of_this_dataset_is_one_line(tmp_path, text, words):
    path = tmp_path / 'found.json'
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_results(str(path), Pictures())
    message = str(error.value)
    assert message.startswith(str(path)) and all(word in message for word in words) and '\n' not in message


@pytest.mark.parametrize('name, words', [('found.txt', 'ends in .json, .pkl or .pickle'), ('found.json', 'No such file'),
                                         ('found.pkl', 'No such file')])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, name, words):
    with pytest.raises(DataError, match=words):
        read_results(str(tmp_path / name), Pictures())


def test_a_dataset_without_coco_ids_has_no_json():
    check_writable('found.json', Pictures(), '--out')
    check_writable('found.pkl', SimpleNamespace(), '--out')
    with pytest.raises(UserError, match=r'--out: found\.json: .* a SimpleNamespace lacks'):
        check_writable('found.json', SimpleNamespace(), '--out')
    with pytest.raises(DataError, match=r'found\.json: .* a SimpleNamespace lacks'):
        read_results('found.json', SimpleNamespace())


def test_a_folder_that_cannot_be_made_is_named_with_its_option(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError) as error:
        prepare_folder(str(tmp_path / 'file' / 'below'), '--out')
    assert str(error.value).startswith(f'--out: {tmp_path}/file/below: ') and '\n' not in str(error.value)


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda *_: False)  # the tests may run as root, who may write anywhere
    with pytest.raises(UserError, match=r'--show-dir: .*permission'):
        prepare_folder(str(tmp_path), '--show-dir')


def test_results_that_cannot_be_written_are_one_line(tmp_path):
    (tmp_path / 'found.pkl').mkdir()
    with pytest.raises(UserError, match=r'found\.pkl: cannot be written \(Is a directory\)'):
        write_results(str(tmp_path / 'found.pkl'), detections(1, 0, 0), Pictures())
