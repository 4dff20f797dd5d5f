"""Classes that a config names are compared without a file; what only the file tells is left alone."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmdet.apis.named_classes import class_faults, named_classes


def config(num_classes=2, **sections):
    return Config(dict(model=dict(bbox_head=dict(num_classes=num_classes)), data=sections))


def coco(*names):
    return dict(type='CocoDataset', ann_file='a.json', **(dict(classes=names) if names else {}))


def voc(*names):
    return dict(type='VOCDataset', ann_file='a.txt', **(dict(classes=names) if names else {}))


def test_coco_without_classes_follows_its_file_and_voc_has_twenty():
    cfg = config(train=coco(), val=voc())
    assert named_classes(cfg, 'train') == []
    (found,) = named_classes(cfg, 'val')
    assert len(found.names) == 20 and found.key == 'data.val' and found.in_order and not found.given


def test_datasets_within_wrappers_and_lists_are_found():
    cfg = config(train=dict(type='RepeatDataset', times=2, dataset=dict(
        type='ConcatDataset', datasets=[coco('a'), dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=voc('a'))])))
    assert [named.key for named in named_classes(cfg, 'train')] == [
        'data.train.dataset.datasets.0', 'data.train.dataset.datasets.1.dataset']


@pytest.mark.parametrize('sections', [
    dict(train=coco('a', 'b'), val=coco('a', 'b')), dict(train=coco('a', 'b'), val=coco('b', 'a')),
    dict(train=coco(), val=coco('a', 'b')), dict(train=voc('a', 'b'), val=coco('b', 'a')), dict(train=coco(), val=coco()),
    dict(train=voc('a', 'b'), val=voc('a', 'b'), test=voc('a', 'b'))])
def test_classes_that_agree_pass(sections):
    assert list(class_faults(config(**sections), *sections)) == []


@pytest.mark.parametrize('sections, words', [
    (dict(train=coco('a')), ['data.train.classes: 1 classes (a), but model.bbox_head.num_classes is 2. Set num_classes=1']),
    (dict(train=voc('a', 'b'), val=voc('b', 'a')),
     ["data.val.classes: not the classes of data.train: label 0 is 'b' here and 'a' there"]),
    (dict(train=coco('a', 'b'), val=coco('a', 'c')), ["data.val.classes: not the classes of data.train: label 1 is 'c' here"]),
    (dict(train=coco('a'), val=voc()), ['data.train.classes: 1 classes', 'data.val: 20 classes (aeroplane, bicycle, bird,'])])
def test_classes_that_do_not_are_named(sections, words):
    messages = [str(fault) for fault in class_faults(config(**sections), *sections)]
    assert len(messages) == len(words) and all(word in message for word, message in zip(words, messages))


def test_names_may_be_in_a_text_file(tmp_path):
    (tmp_path / 'names.txt').write_text('a\nb\nc\n')
    cfg = config(train=dict(type='CustomDataset', ann_file='a.json', classes=str(tmp_path / 'names.txt')))
    (fault,) = class_faults(cfg, 'train')
    assert '3 classes (a, b, c)' in str(fault)
