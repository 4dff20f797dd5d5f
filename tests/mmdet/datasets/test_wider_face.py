"""WIDERFaceDataset: pictures in a folder an event, their XML files in one folder."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DataError
from mmcv_need.registry import build
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets import DATASETS
from mmdet.datasets.wider_face import WIDERFaceDataset

FACE = ('<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>'
        '<ymax>{3}</ymax></bndbox></object>')


def face(*corners, name='face', difficult=0):
    return FACE.format(*corners, name=name, difficult=difficult)


@pytest.fixture
def wider(tmp_path):
    """Writes WIDER FACE: for each event a list of pictures, each a list of faces; gives arguments for the dataset."""
    def write(**events):
        names = []
        (tmp_path / 'WIDER_train/Annotations').mkdir(parents=True)
        for event, pictures in events.items():
            (tmp_path / 'WIDER_train' / event).mkdir()
            for i, faces in enumerate(pictures):
                names.append(f'{event}_{i}')
                cv2.imwrite(str(tmp_path / 'WIDER_train' / event / f'{names[-1]}.jpg'), np.full((100, 200, 3), 90, np.uint8))
                (tmp_path / 'WIDER_train/Annotations' / f'{names[-1]}.xml').write_text(
                    f'<annotation><folder>{event}</folder><size><width>200</width><height>100</height></size>'
                    f'{"".join(faces)}</annotation>')
        (tmp_path / 'train.txt').write_text('\n'.join(names) + '\n')
        return dict(ann_file='train.txt', img_prefix='WIDER_train/', data_root=str(tmp_path))
    return write


def test_a_picture_lies_in_the_folder_of_its_event_and_its_boxes_lose_a_pixel(wider):
    found = WIDERFaceDataset(pipeline=[], **wider(parade=[[face(11, 21, 41, 61)], [face(1, 1, 50, 50)]],
                                                 party=[[face(2, 2, 90, 90)]]))
    assert found.CLASSES == ('face',) and len(found) == 3
    assert found.annotations.file_names == ['parade/parade_0.jpg', 'parade/parade_1.jpg', 'party/party_0.jpg']
    assert found.annotations.ids.tolist() == ['parade_0', 'parade_1', 'party_0']
    assert found.get_ann_info(0)['bboxes'].tolist() == [[10, 20, 40, 60]] and found.get_ann_info(0)['labels'].tolist() == [0]


def test_the_config_of_mmdetection_loads_a_picture(wider):
    from_file = [dict(type='LoadImageFromFile', to_float32=True), dict(type='LoadAnnotations', with_bbox=True)]
    made = wider(parade=[[face(1, 1, 60, 60)]])
    cfg = Config(dict(data=dict(type='WIDERFaceDataset', pipeline=from_file, min_size=17, **made)))
    sample = build(cfg, DATASETS, key='data').sample(0, np.random.default_rng(0))
    assert sample['img'].shape == (100, 200, 3) and sample['gt_bboxes'].tolist() == [[0, 0, 59, 59]]


def test_small_and_difficult_faces_are_ignored_and_pictures_without_faces_left_out(wider):
    made = wider(parade=[[face(1, 1, 17, 60), face(1, 1, 18, 60), face(5, 5, 90, 90, difficult=1)], [],
                         [face(1, 1, 9, 9, name='cat')]])
    found = WIDERFaceDataset(pipeline=[], min_size=17, **made)
    assert len(found) == 1 and len(WIDERFaceDataset(pipeline=[], filter_empty_gt=False, **made)) == 3
    assert found.get_ann_info(0)['bboxes'].tolist() == [[0, 0, 17, 59]]
    assert found.get_ann_info(0)['bboxes_ignore'].tolist() == [[0, 0, 16, 59], [4, 4, 89, 89]]
    with pytest.raises(ConfigError, match='min_size is for training'):
        WIDERFaceDataset(pipeline=[], min_size=17, test_mode=True, **made)


def test_perfect_detections_have_an_average_precision_of_one(wider):
    found = WIDERFaceDataset(pipeline=[], test_mode=True, **wider(parade=[[face(11, 21, 41, 61)], [face(1, 1, 50, 50)]]))
    perfect = [Detections(np.array([box], np.float32), np.array([0.9], np.float32), np.array([0]))
               for box in ([10, 20, 40, 60], [0, 0, 49, 49])]
    assert found.evaluate(perfect) == {'mAP': 1.0, 'AP50': 1.0}


@pytest.mark.parametrize('old, new, words', [
    ('<folder>parade</folder>', '', "parade_0.xml: annotation has no 'folder'"),
    ('<folder>parade</folder>', '<folder>../..</folder>', 'leads out of the folder of pictures'),
    ('<folder>parade</folder>', '<folder>/etc</folder>', 'leads out of the folder of pictures'),
    ('</annotation>', '', 'not valid XML')])
def test_a_faulty_file_is_named(wider, tmp_path, old, new, words):
    made, xml = wider(parade=[[face(1, 1, 50, 50)]] * 2), tmp_path / 'WIDER_train/Annotations/parade_0.xml'
    xml.write_text(xml.read_text().replace(old, new))
    with pytest.raises(DataError, match=words):
        WIDERFaceDataset(pipeline=[], **made)
    assert len(WIDERFaceDataset(pipeline=[], bad_data='skip', **made)) == 1


def test_what_is_missing_comes_with_where_the_data_go(wider, tmp_path):
    made = wider(parade=[[face(1, 1, 50, 50)]])
    (tmp_path / 'WIDER_train/Annotations/parade_0.xml').unlink()
    with pytest.raises(DataError, match=r'the list of pictures names it.*data/WIDERFace/'):
        WIDERFaceDataset(pipeline=[], **made)
    with pytest.raises(DataError, match=r'no such list of pictures.*data/WIDERFace/'):
        WIDERFaceDataset(pipeline=[], **{**made, 'ann_file': 'nothing.txt'})
