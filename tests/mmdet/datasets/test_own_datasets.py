"""Datasets of somebody's own, as MMDetection's users write them: derived from CustomDataset or CocoDataset."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmcv_need.errors import ConfigError, DataError
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.pipelines.loading import LoadAnnotations

LINES = 'a.jpg 100 80 1,2,30,40,1 5,5,9,9,0\nnothing.jpg 100 80\nsmall.jpg 20 20 1,1,5,5,0\nb.jpg 60 90 0,0,50,80,1\n'


class Lines(CustomDataset):
    """A line a picture: name, width, height, boxes with labels."""
    CLASSES = ('cat', 'dog')

    def load_annotations(self, ann_file):
        infos = []
        for line in Path(ann_file).read_text(encoding='utf-8').splitlines():
            name, width, height, *boxes = line.split()
            rows = np.array([list(map(float, box.split(','))) for box in boxes]).reshape(-1, 5)
            infos.append(dict(filename=name, width=int(width), height=int(height),
                              ann=dict(bboxes=rows[:, :4], labels=rows[:, 4].astype(int), line=line)))
        return infos

    def get_ann_info(self, idx):
        return self.data_infos[idx]['ann']


class Lazy(Lines):
    """As datasets of XML files are written: records first, boxes when they are asked for."""

    def load_annotations(self, ann_file):
        infos = super().load_annotations(ann_file)
        self.boxes = {info['filename']: info.pop('ann') for info in infos}
        return infos

    def get_ann_info(self, idx):
        return self.boxes[self.data_infos[idx]['filename']]


@pytest.fixture(params=[Lines, Lazy])
def kind(request):
    return request.param


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / 'lines.txt'
    path.write_text(LINES)
    return str(path)


def test_the_pictures_of_use_are_kept_and_indices_mean_them(kind, lines):
    dataset = kind(lines, [])
    assert dataset.CLASSES == ('cat', 'dog') and len(dataset) == 2
    assert [info['filename'] for info in dataset.data_infos] == ['a.jpg', 'b.jpg']
    assert dataset.get_ann_info(1)['bboxes'].tolist() == [[0, 0, 50, 80]] and dataset.get_cat_ids(0) == [0, 1]
    assert dataset.flag.tolist() == [1, 0]
    assert len(kind(lines, [], filter_empty_gt=False)) == 3 and len(kind(lines, [], test_mode=True)) == 4


def test_transforms_are_given_what_get_ann_info_says_and_more_if_it_says_more(kind, lines):
    sample = kind(lines, [LoadAnnotations()], img_prefix='pictures')[0]
    assert sample['img_info']['filename'] == 'a.jpg' and sample['img_prefix'] == 'pictures'
    assert sample['gt_bboxes'].tolist() == [[1, 2, 30, 40], [5, 5, 9, 9]] and sample['gt_bboxes'].dtype == np.float32
    assert sample['gt_labels'].tolist() == [1, 0] and sample['gt_labels'].dtype == np.int64
    assert sample['gt_bboxes_ignore'].shape == (0, 4)
    assert sample['ann_info']['line'] == LINES.splitlines()[0]


def test_they_are_evaluated_as_custom_datasets_are(kind, lines):
    dataset = kind(lines, [], test_mode=True, filter_empty_gt=False)
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
    perfect = [Detections(*none) if not len(ann['labels']) else
               Detections(np.float32(ann['bboxes']), np.ones(len(ann['labels']), np.float32), ann['labels'])
               for ann in map(dataset.get_ann_info, range(len(dataset)))]
    assert dataset.evaluate(perfect)['mAP'] == 1
    assert dataset.evaluate([Detections(*none)] * 4)['mAP'] == 0


def test_classes_of_the_config_go_before_those_of_the_class(kind, lines):
    assert kind(lines, [], classes=['x', 'y']).CLASSES == ('x', 'y')
    with pytest.raises(DataError, match=r'ann.labels has 1'):
        kind(lines, [], classes=['x'])


def test_a_dataset_without_classes_is_an_error(tmp_path):
    (tmp_path / 'list.json').write_text('[]')
    with pytest.raises(ConfigError, match='classes: a CustomDataset names none itself'):
        CustomDataset(str(tmp_path / 'list.json'), [])


def test_what_a_dataset_adds_before_the_pipeline_is_in_each_sample(lines):
    class Marked(Lines):
        def pre_pipeline(self, results):
            results['mark'] = results['img_info']['filename']

    assert [Marked(lines, [])[i]['mark'] for i in range(2)] == ['a.jpg', 'b.jpg']


@pytest.fixture
def coco_file(tmp_path):
    path = tmp_path / 'coco.json'
    path.write_text(json.dumps({
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 100, 'height': 80}],
        'categories': [{'id': 3, 'name': 'cat'}, {'id': 5, 'name': 'dog'}, {'id': 9, 'name': 'horse'}],
        'annotations': [{'id': i, 'image_id': 1, 'category_id': category, 'bbox': [1, 2, 30, 40], 'area': 1200, 'iscrowd': 0}
                        for i, category in enumerate((3, 5, 9), 1)]}))
    return str(path)


def test_a_class_derived_from_coco_has_the_classes_that_it_names(coco_file):
    class Pets(CocoDataset):
        CLASSES = ('cat', 'dog')

    assert Pets(coco_file, []).CLASSES == ('cat', 'dog') and Pets(coco_file, []).get_ann_info(0)['labels'].tolist() == [0, 1]
    assert Pets(coco_file, [], classes=['horse']).CLASSES == ('horse',)
    assert CocoDataset(coco_file, []).CLASSES == ('cat', 'dog', 'horse')


def test_a_class_derived_from_coco_whose_classes_the_file_lacks_is_an_error(coco_file):
    class Birds(CocoDataset):
        CLASSES = ('cat', 'bird')

    with pytest.raises((ConfigError, DataError), match='bird'):
        Birds(coco_file, [])
