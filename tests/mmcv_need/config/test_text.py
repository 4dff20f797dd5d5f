"""The text of a config: MMDetection's layout, and dumps that read back as they were."""
from __future__ import annotations

import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.config import Config
from mmcv_need.config.text import pretty_text
from mmcv_need.errors import ConfigError

NORM = {'mean': [123.675, 116.28, 103.53], 'std': [1, 1, 1], 'to_rgb': True}
TRAIN_PIPELINE = [
    {'type': 'LoadImageFromFile', 'to_float32': True},
    {'type': 'LoadAnnotations', 'with_bbox': True},
    {'type': 'PhotoMetricDistortion', 'brightness_delta': 32, 'contrast_range': (.5, 1.5),
     'saturation_range': (.5, 1.5), 'hue_delta': 18},
    {'type': 'Expand', 'mean': NORM['mean'], 'to_rgb': True, 'ratio_range': (1, 4)},
    {'type': 'MinIoURandomCrop', 'min_ious': (.1, .3, .5, .7, .9), 'min_crop_size': .3},
    {'type': 'Resize', 'img_scale': (300, 300), 'keep_ratio': False},
    {'type': 'Normalize', **NORM},
    {'type': 'RandomFlip', 'flip_ratio': .5},
    {'type': 'DefaultFormatBundle'},
    {'type': 'Collect', 'keys': ['img', 'gt_bboxes', 'gt_labels']},
]
TEST_PIPELINE = [
    {'type': 'LoadImageFromFile'},
    {'type': 'MultiScaleFlipAug', 'img_scale': (300, 300), 'flip': False, 'transforms': [
        {'type': 'Resize', 'keep_ratio': False},
        {'type': 'Normalize', **NORM},
        {'type': 'ImageToTensor', 'keys': ['img']},
        {'type': 'Collect', 'keys': ['img']},
    ]},
]
VAL = {'type': 'CocoDataset', 'ann_file': 'data/coco/annotations/instances_val2017.json',
       'img_prefix': 'data/coco/val2017/', 'pipeline': TEST_PIPELINE}
SSD300_NPU_8P = {
    'input_size': 300,
    'model': {
        'type': 'SingleStageDetector', 'pretrained': 'open-mmlab://vgg16_caffe',
        'backbone': {'type': 'SSDVGG', 'input_size': 300, 'depth': 16, 'with_last_pool': False, 'ceil_mode': True,
                     'out_indices': (3, 4), 'out_feature_indices': (22, 34), 'l2_norm_scale': 20},
        'neck': None,
        'bbox_head': {
            'type': 'SSDHead', 'in_channels': (512, 1024, 512, 256, 256, 256), 'num_classes': 80,
            'anchor_generator': {'type': 'SSDAnchorGenerator', 'scale_major': False, 'input_size': 300,
                                 'basesize_ratio_range': (0.15, 0.9), 'strides': [8, 16, 32, 64, 100, 300],
                                 'ratios': [[2], [2, 3], [2, 3], [2, 3], [2], [2]]},
            'bbox_coder': {'type': 'DeltaXYWHBBoxCoder', 'target_means': [.0, .0, .0, .0],
                           'target_stds': [.1, .1, .2, .2]}}},
    'cudnn_benchmark': True,
    'train_cfg': {'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': .5, 'neg_iou_thr': .5, 'min_pos_iou': 0.,
                               'ignore_iof_thr': -1, 'gt_max_assign_all': False},
                  'smoothl1_beta': 1., 'allowed_border': -1, 'pos_weight': -1, 'neg_pos_ratio': 3, 'debug': False},
    'test_cfg': {'nms': {'type': 'nms', 'iou_threshold': .45}, 'min_bbox_size': 0, 'score_thr': .02,
                 'max_per_img': 200},
    'dataset_type': 'CocoDataset', 'data_root': 'data/coco/', 'img_norm_cfg': NORM,
    'train_pipeline': TRAIN_PIPELINE, 'test_pipeline': TEST_PIPELINE,
    'data': {
        'samples_per_gpu': 8, 'workers_per_gpu': 8,
        'train': {'type': 'RepeatDataset', 'times': 5, 'dataset': {
            'type': 'CocoDataset', 'ann_file': 'data/coco/annotations/instances_train2017.json',
            'img_prefix': 'data/coco/train2017/', 'pipeline': TRAIN_PIPELINE}},
        'val': VAL, 'test': VAL},
    'evaluation': {'interval': 1, 'metric': 'bbox'},
    'optimizer': {'type': 'SGD', 'lr': 2e-3, 'momentum': .9, 'weight_decay': 5e-4},
    'optimizer_config': {},
    'lr_config': {'policy': 'step', 'warmup': 'linear', 'warmup_iters': 500, 'warmup_ratio': .001, 'step': [16, 22]},
    'total_epochs': 24, 'checkpoint_config': {'interval': 1},
    'log_config': {'interval': 50, 'hooks': [{'type': 'TextLoggerHook'}]},
    'dist_params': {'backend': 'hccl'}, 'log_level': 'INFO', 'load_from': None, 'resume_from': None,
    'workflow': [('train', 1)],
}
SSD300_NPU_8P_TEXT = """\
input_size = 300
model = dict(
    type='SingleStageDetector',
    pretrained='open-mmlab://vgg16_caffe',
    backbone=dict(
        type='SSDVGG',
        input_size=300,
        depth=16,
        with_last_pool=False,
        ceil_mode=True,
        out_indices=(3, 4),
        out_feature_indices=(22, 34),
        l2_norm_scale=20),
    neck=None,
    bbox_head=dict(
        type='SSDHead',
        in_channels=(512, 1024, 512, 256, 256, 256),
        num_classes=80,
        anchor_generator=dict(
            type='SSDAnchorGenerator',
            scale_major=False,
            input_size=300,
            basesize_ratio_range=(0.15, 0.9),
            strides=[8, 16, 32, 64, 100, 300],
            ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]]),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder',
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[0.1, 0.1, 0.2, 0.2])))
cudnn_benchmark = True
train_cfg = dict(
    assigner=dict(
        type='MaxIoUAssigner',
        pos_iou_thr=0.5,
        neg_iou_thr=0.5,
        min_pos_iou=0.0,
        ignore_iof_thr=-1,
        gt_max_assign_all=False),
    smoothl1_beta=1.0,
    allowed_border=-1,
    pos_weight=-1,
    neg_pos_ratio=3,
    debug=False)
test_cfg = dict(
    nms=dict(type='nms', iou_threshold=0.45),
    min_bbox_size=0,
    score_thr=0.02,
    max_per_img=200)
dataset_type = 'CocoDataset'
data_root = 'data/coco/'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[1, 1, 1], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=32,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5),
        hue_delta=18),
    dict(
        type='Expand',
        mean=[123.675, 116.28, 103.53],
        to_rgb=True,
        ratio_range=(1, 4)),
    dict(
        type='MinIoURandomCrop',
        min_ious=(0.1, 0.3, 0.5, 0.7, 0.9),
        min_crop_size=0.3),
    dict(type='Resize', img_scale=(300, 300), keep_ratio=False),
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[1, 1, 1],
        to_rgb=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(300, 300),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=False),
            dict(
                type='Normalize',
                mean=[123.675, 116.28, 103.53],
                std=[1, 1, 1],
                to_rgb=True),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])
        ])
]
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=8,
    train=dict(
        type='RepeatDataset',
        times=5,
        dataset=dict(
            type='CocoDataset',
            ann_file='data/coco/annotations/instances_train2017.json',
            img_prefix='data/coco/train2017/',
            pipeline=[
                dict(type='LoadImageFromFile', to_float32=True),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(
                    type='PhotoMetricDistortion',
                    brightness_delta=32,
                    contrast_range=(0.5, 1.5),
                    saturation_range=(0.5, 1.5),
                    hue_delta=18),
                dict(
                    type='Expand',
                    mean=[123.675, 116.28, 103.53],
                    to_rgb=True,
                    ratio_range=(1, 4)),
                dict(
                    type='MinIoURandomCrop',
                    min_ious=(0.1, 0.3, 0.5, 0.7, 0.9),
                    min_crop_size=0.3),
                dict(type='Resize', img_scale=(300, 300), keep_ratio=False),
                dict(
                    type='Normalize',
                    mean=[123.675, 116.28, 103.53],
                    std=[1, 1, 1],
                    to_rgb=True),
                dict(type='RandomFlip', flip_ratio=0.5),
                dict(type='DefaultFormatBundle'),
                dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
            ])),
    val=dict(
        type='CocoDataset',
        ann_file='data/coco/annotations/instances_val2017.json',
        img_prefix='data/coco/val2017/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='MultiScaleFlipAug',
                img_scale=(300, 300),
                flip=False,
                transforms=[
                    dict(type='Resize', keep_ratio=False),
                    dict(
                        type='Normalize',
                        mean=[123.675, 116.28, 103.53],
                        std=[1, 1, 1],
                        to_rgb=True),
                    dict(type='ImageToTensor', keys=['img']),
                    dict(type='Collect', keys=['img'])
                ])
        ]),
    test=dict(
        type='CocoDataset',
        ann_file='data/coco/annotations/instances_val2017.json',
        img_prefix='data/coco/val2017/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='MultiScaleFlipAug',
                img_scale=(300, 300),
                flip=False,
                transforms=[
                    dict(type='Resize', keep_ratio=False),
                    dict(
                        type='Normalize',
                        mean=[123.675, 116.28, 103.53],
                        std=[1, 1, 1],
                        to_rgb=True),
                    dict(type='ImageToTensor', keys=['img']),
                    dict(type='Collect', keys=['img'])
                ])
        ]))
evaluation = dict(interval=1, metric='bbox')
optimizer = dict(type='SGD', lr=0.002, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict()
lr_config = dict(
    policy='step',
    warmup='linear',
    warmup_iters=500,
    warmup_ratio=0.001,
    step=[16, 22])
total_epochs = 24
checkpoint_config = dict(interval=1)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
dist_params = dict(backend='hccl')
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]
"""


def written_and_read(data, tmp_path, suffix='.py'):
    Config(data).dump(tmp_path / f'dump{suffix}')
    return Config.fromfile(tmp_path / f'dump{suffix}').to_dict()


def exactly(value):
    """The value with its types: True and 1, 1 and 1.0, a list and a tuple differ."""
    if isinstance(value, dict):
        return [(type(key), key, exactly(item)) for key, item in value.items()]
    return type(value), [exactly(item) for item in value] if isinstance(value, (list, tuple)) else value


def test_the_layout_is_that_of_mmdetection_dumps():
    assert Config(SSD300_NPU_8P).pretty_text == SSD300_NPU_8P_TEXT


@pytest.mark.parametrize('suffix', ['.py', '.json', '.yaml'])
def test_the_dump_reads_back_as_it_was(tmp_path, suffix):
    read = written_and_read(SSD300_NPU_8P, tmp_path, suffix)
    if suffix == '.py':
        assert exactly(read) == exactly(SSD300_NPU_8P)
    assert list(read) == list(SSD300_NPU_8P)
    assert written_and_read(read, tmp_path, suffix) == read  # tuples are lists after the first time


def test_long_lists_fill_their_lines():
    text = pretty_text({'names': [f'class_{i}' for i in range(10)]})
    assert text == ("names = [\n    'class_0', 'class_1', 'class_2', 'class_3', 'class_4', 'class_5',\n"
                    "    'class_6', 'class_7', 'class_8', 'class_9']\n")
    assert max(map(len, text.splitlines())) <= 79


@pytest.mark.parametrize('value, text', [
    ((1,), '(1, )'), ({'1x': 2}, "dict({'1x': 2})"), ({'class': 1}, "dict({'class': 1})"), ({1: 'a'}, "dict({1: 'a'})"),
    ("it's", '"it\'s"'), ('a\nb\\', "'a\\nb\\\\'"), (math.inf, '1e999'), (-math.inf, '-1e999'), (None, 'None'),
    ({}, 'dict()'), ((), '()'), (True, 'True'),
])
def test_a_value_is_written_so_that_it_reads_back(tmp_path, value, text):
    assert pretty_text({'x': value}) == f'x = {text}\n'
    assert exactly(written_and_read({'x': value}, tmp_path)) == exactly({'x': value})


@pytest.mark.parametrize('suffix', ['.py', '.json'])
def test_text_that_looks_like_a_reference_stays_text(tmp_path, suffix):
    data = {'x': '{{ fileBasename }} {{_base_.y}}', 'y': {'{{ fileDirname }}': 1}}
    assert written_and_read(data, tmp_path, suffix) == data


@pytest.mark.parametrize('data, suffix', [
    ({'x': {'y': object()}}, '.py'), ({'x': math.nan}, '.py'), ({'x': object}, '.json'), ({'x': math.inf}, '.json'),
    ({'x': {1: 2}}, '.json'), ({'x': object()}, '.yaml'), ({'x': '{{ fileBasename }}'}, '.yaml'), ({'a-b': 1}, '.py'),
    ({'__x': 1}, '.py'), ({'dict': 1}, '.py'), ({'lambda': 1}, '.py'), ({'x': 1}, '.txt'),
])
def test_what_a_language_cannot_hold_is_refused_in_one_line(tmp_path, data, suffix):
    with pytest.raises(ConfigError) as error:
        Config(data).dump(tmp_path / f'dump{suffix}')
    assert '\n' not in str(error.value)
    assert not list(tmp_path.iterdir())


NAMES = st.from_regex(r'[a-z]\w{0,8}', fullmatch=True).map(lambda name: 'k_' + name).filter(str.isascii)
SCALARS = (st.none() | st.booleans() | st.integers(-2**200, 2**200) | st.floats(allow_nan=False)
           | st.text(max_size=40) | st.text(string.printable, max_size=200))
KEYS = st.text(max_size=10).filter(lambda key: key != '_delete_')
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=6) | st.lists(inner, max_size=6).map(tuple)
                      | st.dictionaries(NAMES | KEYS, inner, max_size=5), max_leaves=30)


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_data_survives_a_python_dump(tmp_path_factory, data):
    assert exactly(written_and_read(data, tmp_path_factory.mktemp('dump'))) == exactly(data)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(NAMES, st.dictionaries(KEYS,
        st.text() | st.integers(-10**30, 10**30) | st.floats(-1e300, 1e300))))
@pytest.mark.parametrize('suffix', ['.json', '.yaml'])
def test_any_plain_data_survives_a_json_or_yaml_dump(tmp_path_factory, suffix, data):
    assert exactly(written_and_read(data, tmp_path_factory.mktemp('dump'), suffix)) == exactly(data)
