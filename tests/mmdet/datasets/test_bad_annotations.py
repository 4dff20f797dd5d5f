"""Twenty kinds of annotations that cannot be used: each is an error that names file and record, or left out and told."""
from __future__ import annotations

import json
import logging

import cv2
import numpy as np
import pytest

from mmcv_need.errors import ConfigError, DataError
from mmdet.apis.dataset_check import check_before_run
from mmdet.apis.settings import DataSettings
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.defects import NOTES, serious
from mmdet.datasets.voc import VOCDataset
from mmdet.datasets.wrappers import ConcatDataset, RepeatDataset

LOGGER = logging.getLogger('test_bad_annotations')


def spoil(**changes):
    """Changes the second of three annotations."""
    return lambda content: content['annotations'][1].update(changes)


def without(table, key):
    return lambda content: content[table][1].pop(key)


def image(**changes):
    return lambda content: content['images'][1].update(changes)


# What is done to a sound file of three pictures with a box each; what the error says; pictures and boxes that skipping leaves.
RECORDS = {
    'no bbox': (without('annotations', 'bbox'), "annotations[1] has no 'bbox'", (3, 2)),
    'a bbox of three numbers': (spoil(bbox=[1, 2, 3]), 'annotations[1].bbox is [1, 2, 3]; expected four', (3, 2)),
    'a bbox of text': (spoil(bbox=['1', '2', '3', '4']), 'annotations[1].bbox', (3, 2)),
    'a bbox beyond all numbers': (spoil(bbox=[1, 2, 1e300, 9]), 'box that is no box', (3, 2)),
    'a box whose end lies before its start': (spoil(bbox=[30, 30, -20, 10]), "picture 2 ('002.png'): box [30, 30, 10, 40]",
                                              (3, 2)),
    'a box beside the picture': (spoil(bbox=[70, 10, 20, 20]), 'in 64 x 64 pixels: box beside the picture', (3, 2)),
    'a picture that is not there': (spoil(image_id=77), "annotations[1] names image_id 77, which no picture of 'images' has",
                                    (3, 2)),
    'a category that is not there': (spoil(category_id=77), 'box of an unknown category', (3, 2)),
    'a category of text': (spoil(category_id='cat'), "annotations[1].category_id is 'cat'; expected a number", (3, 2)),
    'the id of another annotation': (spoil(id=1), 'annotations[0] and annotations[1] have the same id 1', (3, 2)),
    'a flag of text': (spoil(iscrowd='yes'), "annotations[1].iscrowd is 'yes'; expected 0 or 1", (3, 2)),
    'an area of text': (spoil(area='large'), "annotations[1].area is 'large'; expected a number of pixels", (3, 2)),
    'the id of another picture': (image(id=1), 'images[0] and images[1] have the same id 1', (2, 2)),
    'no file name': (without('images', 'file_name'), "images[1] has no 'file_name'", (2, 2)),
    'a width of text': (image(width='wide'), "images[1].width is 'wide'; expected a whole number", (2, 2)),
    'a width of nothing': (image(width=0), 'picture without a size', (2, 2)),
    'a name that leads out': (image(file_name='../../etc/passwd'), "('../../etc/passwd'): the file name leads out of", (2, 2)),
}
# What no skipping can help: without it, labels or the whole file would mean something else.
FILES = {
    'no JSON': (lambda text: text[:len(text) // 2], 'annotations.json:1: not valid JSON'),
    'a number that JSON does not have': (lambda text: text.replace('"bbox": [', '"bbox": [NaN, ', 1),
                                         'annotations.json:1: not valid JSON'),
    'another kind of file': (lambda text: '[]', "not a COCO annotation file: expected lists 'images', 'annotations' and "
                                                "'categories'"),
    'two categories of one id': (lambda text: text.replace('"id": 20, "name"', '"id": 10, "name"'),
                                 'categories[0] and categories[1] have the same id 10'),
}


@pytest.fixture
def folder(tmp_path, coco_folder):
    """Changes a sound file's content or text; returns its path."""
    def write(change=lambda content: None, rewrite=lambda text: text):
        boxes = [{'image_id': i, 'category_id': 10, 'bbox': [5 * i, 5, 20, 20]} for i in (1, 2, 3)]
        path = coco_folder(tmp_path, [(64, 64)] * 3, boxes, pictures=True)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(rewrite(json.dumps(content)))
        return path
    return write


def dataset(path, bad_data='error', **options):
    return CocoDataset(str(path), [], img_prefix=str(path.parent), bad_data=bad_data, filter_empty_gt=False, **options)


def checked(path, bad_data='error', **options):
    """Built and looked over, as before a training."""
    found = dataset(path, bad_data)
    check_before_run(found, 'data.train', DataSettings(bad_data=bad_data, **options), LOGGER)
    return found


def test_there_are_twenty_kinds_and_one_more():
    assert len(RECORDS) + len(FILES) == 21


@pytest.mark.parametrize('name', RECORDS)
def test_a_record_that_cannot_be_used_is_an_error_that_names_file_and_record(folder, name):
    change, words, _ = RECORDS[name]
    path = folder(change)
    with pytest.raises(DataError) as error:
        checked(path)
    assert str(path) in str(error.value) and words in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('name', RECORDS)
@pytest.mark.parametrize('test_mode', [False, True])
def test_skipping_leaves_it_out_and_nothing_else_and_tells(folder, name, test_mode, caplog):
    change, words, (pictures, boxes) = RECORDS[name]
    path = folder(change)
    found = dataset(path, 'skip', test_mode=test_mode)
    assert len(found) == pictures
    assert sum(len(found.get_ann_info(i)['labels']) for i in range(len(found))) == boxes
    assert any(words in defect.message for defect in found.skipped) and serious(found.skipped) == found.skipped
    whole = dataset(folder())
    kept = {found.annotations.ids[i]: found.get_ann_info(i)['bboxes'].tolist() for i in range(len(found))}
    for i in range(len(whole)):
        number, bboxes = whole.annotations.ids[i], whole.get_ann_info(i)['bboxes'].tolist()
        assert kept.get(number, []) in (bboxes, [])  # no other box has changed
    with caplog.at_level(logging.WARNING):
        checked(folder(change), 'skip', max_bad_data=1.0)
    assert words in caplog.text and 'left out' in caplog.text


@pytest.mark.parametrize('bad_data', ['error', 'skip'])
@pytest.mark.parametrize('name', FILES)
def test_a_file_that_cannot_be_used_is_an_error_whatever_the_policy(folder, name, bad_data):
    rewrite, words = FILES[name]
    with pytest.raises(DataError) as error:
        checked(folder(rewrite=rewrite), bad_data)
    assert words in str(error.value)


def test_more_than_may_be_left_out_is_an_error(folder):
    def spoil_all(content):
        for annotation in content['annotations']:
            annotation['bbox'] = [1, 2, 3]
    with pytest.raises(DataError) as error:
        checked(folder(spoil_all), 'skip')
    assert 'and 2 more' in str(error.value) and '1 of 3 may (data.max_bad_data=0.001)' in str(error.value)
    checked(folder(spoil_all), 'skip', max_bad_data=1.0)


def test_evaluation_does_not_count_what_was_left_out(folder):
    """Its metrics are those of the file without the record."""
    def remove(content):
        del content['annotations'][1]
    results = dataset(folder(), test_mode=True)
    found = [results.get_ann_info(i) for i in range(3)]
    detections = [Detections(info['bboxes'], np.full(len(info['labels']), 0.9, np.float32), info['labels']) for info in found]
    expected = dataset(folder(remove), test_mode=True).evaluate(detections)
    assert dataset(folder(spoil(category_id=77)), 'skip', test_mode=True).evaluate(detections) == expected
    assert dataset(folder(spoil(bbox=[70, 10, 20, 20])), 'skip', test_mode=True).evaluate(detections) == expected


def test_what_is_only_odd_is_told_and_used_as_before(folder, caplog):
    def change(content):
        boxes = content['annotations']
        boxes[0].update(bbox=[5, 5, 0, 20], area=0)
        boxes[1].update(bbox=[5, 5, 1.5, 20])
        boxes.append({**boxes[2], 'id': 9})
        boxes.append({**boxes[2], 'id': 10, 'iscrowd': 1, 'bbox': [1, 1, 40, 40]})
        content['images'].append({'id': 8, 'file_name': '001.png', 'width': 64, 'height': 64})
    with caplog.at_level(logging.INFO):
        checked(folder(change))
    line = next(record.getMessage() for record in caplog.records)
    for kind in ('box without area', 'box with a side below two pixels', 'box that occurs twice', 'crowd or difficult box',
                 'picture without boxes', 'file that occurs twice'):
        assert kind in NOTES and f'; 1 x {kind}' in line
    assert '4 pictures' in line and '5 boxes of 3 classes' in line


def test_records_of_other_kinds_of_files_are_left_out_too(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((64, 64, 3), np.uint8))
    good = {'filename': 'a.png', 'width': 64, 'height': 64}
    records = [{**good, 'ann': {'bboxes': [bbox], 'labels': [0]}} for bbox in ([1, 2, 30, 40], [1, 2, 3], [30, 2, 1, 40])]
    path = tmp_path / 'list.json'
    path.write_text(json.dumps(records))
    arguments = {'ann_file': str(path), 'pipeline': [], 'classes': ['cat'], 'img_prefix': str(tmp_path)}
    with pytest.raises(DataError, match=r'record 1: ann\.bboxes'):
        CustomDataset(**arguments)
    found = CustomDataset(**arguments, bad_data='skip', filter_empty_gt=False)
    assert len(found) == 2 and [defect.kind for defect in found.skipped] == [
        'record that cannot be used', 'box whose end lies before its start']
    assert [len(found.get_ann_info(i)['labels']) for i in range(2)] == [1, 0]


def test_xml_that_cannot_be_read_is_left_out_too(tmp_path):
    root = tmp_path / 'VOC2007'
    for sub in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (root / sub).mkdir(parents=True)
    (root / 'ImageSets/Main/trainval.txt').write_text('1\n2\n')
    whole = ('<annotation><size><width>64</width><height>64</height></size><object><name>cat</name><bndbox><xmin>1</xmin>'
             '<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>')
    (root / 'Annotations/1.xml').write_text(whole)
    (root / 'Annotations/2.xml').write_text(whole[:90])
    arguments = {'ann_file': str(root / 'ImageSets/Main/trainval.txt'), 'pipeline': [], 'img_prefix': str(root)}
    with pytest.raises(DataError, match=r'2\.xml: not valid XML'):
        VOCDataset(**arguments)
    found = VOCDataset(**arguments, bad_data='skip')
    assert len(found) == 1 and '2.xml: not valid XML' in found.skipped[0].message


def test_datasets_within_wrappers_are_looked_over(folder):
    wrapped = RepeatDataset(ConcatDataset([dataset(folder(spoil(bbox=[70, 10, 20, 20])))]), 3)
    with pytest.raises(DataError, match='box beside the picture'):
        check_before_run(wrapped, 'data.train', DataSettings(), LOGGER)


def test_a_picture_that_is_missing_is_found_before_a_run(folder):
    path = folder()
    (path.parent / '002.png').unlink()
    with pytest.raises(DataError, match=r'002.png: the picture cannot be read \(No such file or directory\)'):
        checked(path)
    checked(path, 'skip')


@pytest.mark.parametrize('options', [{'bad_data': 'ignore'}, {'max_bad_data': -0.1}, {'max_bad_data': 2}])
def test_a_policy_that_is_none_is_an_error(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        DataSettings(**options)
