"""Every spelling of MMDetection 2.6 to 2.28 builds: network, datasets' pipelines, schedule and precision."""
from __future__ import annotations

from pathlib import Path

import pytest

from mmcv_need.config import Config
from mmdet.apis.config_check import look_over
from mmdet.apis.dialects import canonical

CONFIGS = Path(__file__).resolve().parents[4] / 'configs'


def pretrained(cfg):
    cfg['model']['pretrained'] = cfg['model']['backbone'].pop('init_cfg')['checkpoint']


def outer_settings(cfg):
    for name in ('train_cfg', 'test_cfg'):
        cfg[name] = cfg['model'].pop(name)


def total_epochs(cfg):
    cfg['total_epochs'] = cfg.pop('runner')['max_epochs']


def imgs_per_gpu(cfg):
    cfg['data']['imgs_per_gpu'] = cfg['data'].pop('samples_per_gpu')


def neck_in_the_backbone(cfg):
    cfg['model']['neck'] = None
    cfg['model']['backbone'].update(input_size=cfg['input_size'], l2_norm_scale=20)


def colours_first(cfg):
    """The order of MMDetection up to 2.18: colours, canvas, crop, resize, normalise, flip."""
    steps = {step['type']: step for step in cfg['data']['train']['dataset']['pipeline']}
    steps['LoadImageFromFile']['to_float32'] = True
    order = ('LoadImageFromFile', 'LoadAnnotations', 'PhotoMetricDistortion', 'Expand', 'MinIoURandomCrop', 'Resize',
             'Normalize', 'RandomFlip', 'DefaultFormatBundle', 'Collect')
    cfg['data']['train']['dataset']['pipeline'] = [steps[name] for name in order]


def fp16(cfg):
    cfg['fp16'] = dict(loss_scale='dynamic')


def fp16_none(cfg):
    cfg['fp16'] = None


def fp16_hook(cfg):
    cfg['optimizer_config'] = dict(type='Fp16OptimizerHook', loss_scale=512., distributed=False)


def ascend(cfg):
    cfg['model']['bbox_head']['type'] = 'AscendSSDHead'
    cfg['model']['train_cfg']['assigner']['type'] = 'AscendMaxIoUAssigner'


def legacy(cfg):
    cfg['model']['bbox_head']['anchor_generator']['type'] = 'LegacySSDAnchorGenerator'
    cfg['model']['bbox_head']['bbox_coder']['type'] = 'LegacyDeltaXYWHBBoxCoder'


def wider_face(cfg):
    cfg['model']['bbox_head']['num_classes'] = 1
    cfg['evaluation'] = dict(interval=1, metric='mAP')
    for node in (cfg['data']['train']['dataset'], cfg['data']['val'], cfg['data']['test']):
        node['type'] = 'WIDERFaceDataset'
    cfg['data']['train']['dataset']['min_size'] = 17


SPELLINGS = [pretrained, outer_settings, total_epochs, imgs_per_gpu, neck_in_the_backbone, colours_first, fp16, fp16_none,
             fp16_hook, ascend, legacy, wider_face]
OLDEST = [pretrained, outer_settings, total_epochs, neck_in_the_backbone, colours_first]  # MMDetection 2.6


@pytest.mark.parametrize('name, boxes', [('ssd300_coco.py', 8732), ('ssd512_coco.py', 24564)])
@pytest.mark.parametrize('spellings', [*([spelling] for spelling in SPELLINGS), OLDEST],
                         ids=[*(spelling.__name__ for spelling in SPELLINGS), 'version 2.6'])
def test_it_builds_without_a_fault(spellings, name, boxes):
    cfg = Config.fromfile(CONFIGS / name).to_dict()
    for spelling in spellings:
        spelling(cfg)
    found = look_over(canonical(Config(cfg)), 'train', 'val', 'test')
    assert not found.faults and found.boxes == boxes


def test_the_oldest_spelling_has_the_values_of_ours():
    cfg = Config.fromfile(CONFIGS / 'ssd300_coco.py').to_dict()
    ours = canonical(Config(cfg)).to_dict()
    for spelling in (pretrained, outer_settings, total_epochs, neck_in_the_backbone, imgs_per_gpu):
        spelling(cfg)
    found = canonical(Config(cfg)).to_dict()
    found['model']['backbone'].pop('input_size')  # accepted, and not used
    found['model']['neck'].pop('last_kernel_size')  # ours leaves it at its default
    assert {key: found[key] for key in ours} == ours
