"""The tools on PASCAL VOC's layout: two years for training, one for evaluation."""
from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmcv_need.errors import ConfigError
from mmdet.apis import inference_detector, init_detector

SHAPES = ('circle', 'square', 'triangle', 'ring', 'cross', 'diamond')
XML = '<annotation><size><width>{width}</width><height>{height}</height></size>{objects}</annotation>'
OBJECT = ('<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>'
          '<ymax>{3}</ymax></bndbox></object>')
CONFIG = '''
_base_ = {tiny!r}
classes = {shapes!r}
data_root = {root!r}
data = dict(
    train=dict(
        _delete_=True, type='RepeatDataset', times=2,
        dataset=dict(
            type='VOCDataset', classes=classes,
            ann_file=[data_root + 'VOC2007/ImageSets/Main/trainval.txt', data_root + 'VOC2012/ImageSets/Main/trainval.txt'],
            img_prefix=[data_root + 'VOC2007/', data_root + 'VOC2012/'],
            pipeline={{{{ _base_.train_pipeline }}}})),
    val=dict(
        _delete_=True, type='VOCDataset', classes=classes, ann_file=data_root + 'VOC2007/ImageSets/Main/test.txt',
        img_prefix=data_root + 'VOC2007/', pipeline={{{{ _base_.test_pipeline }}}}),
    test=dict(
        _delete_=True, type='VOCDataset', classes=classes,
        ann_file=[data_root + 'VOC2007/ImageSets/Main/test.txt', data_root + 'VOC2012/ImageSets/Main/trainval.txt'],
        img_prefix=[data_root + 'VOC2007/', data_root + 'VOC2012/'], pipeline={{{{ _base_.test_pipeline }}}}))
evaluation = dict(_delete_=True, interval=1, metric='mAP')
runner = dict(max_epochs=1)
'''


def write_year(root, year, sets, demo):
    """Pictures of the demo data as one year of VOC. `sets`: name -> (split, indices)."""
    folder = root / f'VOC{year}'
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (folder / name).mkdir(parents=True)
    for name, (split, indices) in sets.items():
        content = json.loads((demo / f'annotations/instances_{split}2017.json').read_text())
        names = {category['id']: category['name'] for category in content['categories']}
        pictures = [content['images'][i] for i in indices]
        for picture in pictures:
            stem = f"{split}_{Path(picture['file_name']).stem}"
            (folder / f'JPEGImages/{stem}.jpg').symlink_to(demo / f'{split}2017' / picture['file_name'])
            boxes = [(item['bbox'], names[item['category_id']]) for item in content['annotations']
                     if item['image_id'] == picture['id'] and not item['iscrowd']]
            objects = ''.join(OBJECT.format(x + 1, y + 1, x + w + 1, y + h + 1, name=shape) for (x, y, w, h), shape in boxes)
            (folder / f'Annotations/{stem}.xml').write_text(XML.format(objects=objects, **picture))
        stems = (f"{split}_{Path(picture['file_name']).stem}" for picture in pictures)
        (folder / f'ImageSets/Main/{name}.txt').write_text(''.join(f'{stem}\n' for stem in stems))


@pytest.fixture(scope='module')
def voc(tmp_path_factory, demo, tiny, tools):
    """The config, and the folder of a run with it."""
    root = tmp_path_factory.mktemp('VOCdevkit')
    write_year(root, 2007, {'trainval': ('train', range(10)), 'test': ('val', range(8))}, demo)
    write_year(root, 2012, {'trainval': ('train', range(10, 24))}, demo)
    config = root / 'tiny_voc.py'
    config.write_text(CONFIG.format(tiny=str(tiny), shapes=SHAPES, root=f'{root}/'))
    tools.train(config, '--work-dir', root / 'work', '--seed', 3)
    return SimpleNamespace(config=config, work=root / 'work')


def test_a_run_sees_both_years_and_logs_the_mean_average_precision(voc):
    records = [json.loads(line) for line in next(voc.work.glob('*.log.json')).read_text().splitlines()]
    assert [record['iter'] for record in records[1:]][-1] in (12, 13, 14)  # 48 pictures in fours; wide and tall do not mix
    assert set(records[-1]) == {'mode', 'epoch', 'iter', 'lr', 'mAP', 'AP50'} and 0 <= records[-1]['mAP'] <= 1


def test_testing_evaluates_each_list_by_itself(voc, tools, capsys):
    tools.test(voc.config, voc.work / 'latest.pth', '--eval', 'mAP', 'recall', '--eval-options', 'iou_thr=0.4')
    metrics = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    assert {'0_mAP', '0_AP40', '1_mAP', '1_AP40'} <= set(metrics)
    assert {name[2:] for name in metrics if name.startswith('0_')} == {name[2:] for name in metrics if name.startswith('1_')}


def test_a_picture_goes_through_the_pipeline_of_the_first_list(voc):
    detector = init_detector(voc.config, voc.work / 'latest.pth', device='cpu')
    found = inference_detector(detector, np.zeros((90, 120, 3), np.uint8))
    assert detector.CLASSES == SHAPES and [boxes.shape[1] for boxes in found] == [5] * 6


def test_a_metric_of_another_kind_of_dataset_is_refused_before_anything_slow(voc, tools):
    with pytest.raises(ConfigError, match=r"'bbox' is not supported"):
        tools.train(voc.config, '--work-dir', voc.work / 'other', '--cfg-options', 'evaluation.metric=bbox')
