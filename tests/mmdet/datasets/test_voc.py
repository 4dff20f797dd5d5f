"""VOCDataset: which pictures and boxes of VOC's folders there are, under which labels, and what it says of faulty files."""
from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmcv_need.errors import ConfigError, DataError
from mmdet.core.evaluation.mean_ap import area_under_curve, eleven_point_mean
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.voc import VOCDataset
from mmdet.datasets.voc_classes import VOC_CLASSES

OBJECT = '''<object><name>{name}</name><pose>Left</pose>{difficult}
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>'''
SIZE = '<size><width>{}</width><height>{}</height><depth>3</depth></size>'


def thing(name='cat', corners=(11, 21, 41, 61), difficult=0):
    flag = '' if difficult is None else f'<difficult>{difficult}</difficult>'
    return OBJECT.format(*corners, name=name, difficult=flag)


@pytest.fixture
def voc(tmp_path):
    """Writes VOC2007 (or another year): objects of each picture, and its size; gives arguments for VOCDataset."""
    def write(*pictures, sizes=None, year=2007):
        root = tmp_path / f'VOC{year}'
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (root / folder).mkdir(parents=True, exist_ok=True)
        names = [f'{i:06}' for i in range(1, len(pictures) + 1)]
        for i, (name, objects) in enumerate(zip(names, pictures)):
            size = SIZE.format(*(sizes[i] if sizes else (500, 375)))
            text = f'<annotation><folder>VOC</folder>{size}{"".join(objects)}</annotation>'
            (root / 'Annotations' / f'{name}.xml').write_text(text)
        (root / 'ImageSets/Main/trainval.txt').write_text('\n'.join(names) + '\n')
        return SimpleNamespace(root=root, xml=root / 'Annotations' / '000001.xml',
                               arguments=dict(ann_file=f'{root}/ImageSets/Main/trainval.txt', img_prefix=f'{root}/'))
    return write


def dataset(made, **more):
    return VOCDataset(pipeline=more.pop('pipeline', []), **{**made.arguments, **more})


def refused(error, action, *arguments, **named):
    with pytest.raises(error) as caught:
        action(*arguments, **named)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_classes_are_vocs_twenty_in_alphabetical_order():
    assert len(VOC_CLASSES) == 20 and list(VOC_CLASSES) == sorted(VOC_CLASSES)
    assert VOC_CLASSES.index('person') == 14 and VOCDataset.CLASSES is VOC_CLASSES


def test_boxes_lose_one_pixel_on_each_side_as_in_mmdetection(voc):
    """VOC counts pixels from 1, and so its first is at 0 here."""
    found = dataset(voc([thing('cat', (1, 1, 500, 375)), thing('dog')])).get_ann_info(0)
    assert found['bboxes'].tolist() == [[0, 0, 499, 374], [10, 20, 40, 60]] and found['bboxes'].dtype == np.float32
    assert found['labels'].tolist() == [VOC_CLASSES.index('cat'), VOC_CLASSES.index('dog')]
    assert found['bboxes_ignore'].shape == (0, 4) and found['labels_ignore'].shape == (0,)


def test_fractions_are_cut_off(voc):
    found = dataset(voc([thing(corners=('45.7', '1.99', '100.0', ' 200.2 '))])).get_ann_info(0)
    assert found['bboxes'].tolist() == [[44, 0, 99, 199]]


def test_difficult_boxes_are_ignored_with_their_class(voc):
    made = voc([thing('dog', difficult=1), thing('cat', difficult=None), thing('cow', (1, 1, 50, 50), 1)])
    found = dataset(made).get_ann_info(0)
    assert found['labels'].tolist() == [7] and found['labels_ignore'].tolist() == [11, 9]
    assert found['bboxes_ignore'].tolist() == [[10, 20, 40, 60], [0, 0, 49, 49]]


def test_small_boxes_are_ignored_in_training_if_asked(voc):
    made = voc([thing(corners=(1, 1, 20, 60)), thing(corners=(1, 1, 60, 20)), thing(corners=(1, 1, 21, 21))])
    assert len(dataset(made).get_ann_info(0)['labels']) == 3
    found = dataset(made, min_size=20).get_ann_info(0)
    assert found['bboxes'].tolist() == [[0, 0, 20, 20]] and found['labels_ignore'].tolist() == [7, 7]
    assert 'min_size' in refused(ConfigError, dataset, made, min_size=20, test_mode=True)


def test_training_leaves_out_small_and_empty_pictures_but_not_those_with_difficult_boxes_only(voc):
    made = voc([thing()], [], [thing('unicorn')], [thing(difficult=1)], [thing()], [thing()],
               sizes=[(500, 375), (500, 375), (500, 375), (375, 500), (31, 100), (32, 32)])
    found = dataset(made)
    assert found.annotations.ids.tolist() == ['000001', '000004', '000006'] and found.flag.tolist() == [1, 0, 0]
    assert found.annotations.file_names[1] == 'JPEGImages/000004.jpg' and found.get_cat_ids(1) == [7]
    assert dataset(made, filter_empty_gt=False).annotations.ids.tolist() == ['000001', '000002', '000003', '000004', '000006']


def test_a_test_takes_every_picture_in_the_order_of_the_list_and_gives_no_annotations(voc):
    made, seen = voc([thing()], [], [thing()]), []
    (made.root / 'ImageSets/Main/trainval.txt').write_text('000003\n\n 000001 \r\n000002')
    found = dataset(made, test_mode=True, pipeline=[lambda sample: seen.append(sample) or sample])
    found[2]
    assert found.annotations.ids.tolist() == ['000003', '000001', '000002'] and 'ann_info' not in seen[0]
    assert seen[0]['img_info'] == {'id': '000002', 'filename': 'JPEGImages/000002.jpg', 'width': 500, 'height': 375}
    assert len(found.get_ann_info(0)['labels']) == 1  # to be evaluated with


def test_labels_follow_the_order_of_the_config(voc):
    made = voc([thing('cat'), thing('dog'), thing('person')])
    found = dataset(made, classes=('person', 'cat'))
    assert found.CLASSES == ('person', 'cat') and found.get_ann_info(0)['labels'].tolist() == [1, 0]
    assert "occurs twice" in refused(ConfigError, dataset, made, classes=('cat', 'cat'))


def test_other_names_may_be_wanted(voc):
    assert dataset(voc([thing('unicorn')]), classes=['unicorn']).get_ann_info(0)['labels'].tolist() == [0]


@pytest.mark.parametrize('size', ['', SIZE.format(0, 0), SIZE.format(64, 0), '<size><depth>3</depth></size>'])
def test_a_size_that_the_xml_does_not_say_is_the_pictures(voc, size):
    made = voc([thing()])
    made.xml.write_text(f'<annotation>{size}{thing()}</annotation>')
    assert '000001.jpg' in refused(DataError, dataset, made)  # there is no picture yet
    cv2.imwrite(str(made.root / 'JPEGImages/000001.jpg'), np.zeros((48, 64, 3), np.uint8))
    assert dataset(made).annotations.sizes.tolist() == [[64, 48]]


def test_folders_below_may_have_other_names(voc):
    made = voc([thing()])
    (made.root / 'Annotations').rename(made.root / 'xml')
    found = dataset(made, ann_subdir='xml', img_subdir='pictures')
    assert found.annotations.file_names == ['pictures/000001.jpg']


def test_a_data_root_goes_before_relative_paths(voc):
    made = voc([thing()])
    relative = dict(ann_file='VOC2007/ImageSets/Main/trainval.txt', img_prefix='VOC2007/', data_root=str(made.root.parent))
    assert dataset(made, **relative).img_prefix == f'{made.root}/'


@pytest.mark.parametrize('year, average', [(2007, eleven_point_mean), (2012, area_under_curve)])
def test_the_year_decides_how_ap_is_averaged(voc, year, average):
    found = dataset(voc([thing()], year=year))
    assert found.year == year and found.metric.average is average and found.metric.extent == 1


def test_a_folder_of_no_known_year_is_an_error(voc):
    made = voc([thing()], year=2010)
    message = refused(ConfigError, dataset, made)
    assert 'VOC2010' in message and 'VOC2007 or VOC2012' in message


def test_detections_are_evaluated_with_difficult_boxes_neither_right_nor_wrong(voc):
    found = dataset(voc([thing('cat'), thing('cat', (101, 101, 201, 201), 1)], [thing('dog')]), test_mode=True)
    cats = Detections(np.float32([[100, 100, 200, 200], [10, 20, 40, 60]]), np.float32([0.9, 0.8]), np.array([7, 7]))
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert found.evaluate([cats, nothing]) == {'mAP': 0.5, 'AP50': 0.5}  # all of the cats, none of the dogs
    assert found.get_cat_ids(0) == [7]
    with pytest.raises(ConfigError, match=r"^--eval: metric 'bbox'"):
        found.check_metrics('bbox', where='--eval')
    with pytest.raises(ConfigError, match='iou_thr'):
        found.check_metrics([], iou_thr=50)
    values = found.evaluate([cats, nothing], metric='recall', proposal_nums=(1, 2), iou_thr=0.9)
    assert values == {'recall@1@0.9': 0, 'recall@2@0.9': 0.5}


@pytest.mark.parametrize('text, words', [
    ('<annotation><object></annotation>', 'not valid XML (mismatched tag'), ('', 'not valid XML'),
    (f'<annotation>{SIZE.format(9, 9)}<object></object></annotation>', 'object[0] has no name'),
    (f'<annotation>{SIZE.format(9, 9)}{thing()}<object><name>dog</name></object></annotation>',
     "object[1] has no 'bndbox/xmin'"),
    (f'<annotation>{SIZE.format(9, 9)}{thing(corners=(1, 2, 3, "four"))}</annotation>',
     "bndbox/ymax of object[0] is 'four'; expected a number"),
    (f'<annotation>{SIZE.format(9, 9)}{thing(corners=(1, 2, 3, "nan"))}</annotation>', "'nan'"),
    (f'<annotation>{SIZE.format(9, 9)}{thing(corners=("inf", 2, 3, 4))}</annotation>', "'inf'"),
    (f'<annotation>{SIZE.format(9, 9)}{thing(difficult="yes")}</annotation>', "difficult of object[0] is 'yes'"),
    (f'<annotation>{SIZE.format("wide", 9)}</annotation>', "size/width of annotation is 'wide'"),
    ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>', 'defines entities'),
    ('<?xml version="1.0" encoding="klingon"?><annotation/>', 'not valid XML')])
def test_a_damaged_xml_is_an_error_that_names_it(voc, text, words):
    made = voc([thing()])
    made.xml.write_text(text)
    message = refused(DataError, dataset, made)
    assert str(made.xml) in message and words in message


def test_missing_files_are_errors_that_say_where_voc_goes(voc):
    made = voc([thing()])
    made.xml.unlink()
    message = refused(DataError, dataset, made)
    assert str(made.xml) in message and 'the list of pictures names it' in message and 'data/VOCdevkit' in message
    (made.root / 'ImageSets/Main/trainval.txt').write_text('\n')
    assert 'is empty' in refused(DataError, dataset, made)
    assert 'host.robots.ox.ac.uk' in refused(DataError, dataset, made, ann_file='none.txt')
    (made.root / 'ImageSets/Main/trainval.txt').write_bytes(b'\xff\xfe\x00')
    assert 'no text' in refused(DataError, dataset, made)


def test_nothing_left_is_an_error_that_says_what_to_check(voc):
    assert 'check `classes`' in refused(DataError, dataset, voc([thing()]), classes=['unicorn'])
