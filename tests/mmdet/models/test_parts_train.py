"""Each part of the family learns: a few steps on pictures that stay the same, and what a config's check says of it."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmcv_need.builder import build_optimizer
from mmcv_need.config import Config
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.errors import ConfigError
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import Precision
from mmcv_need.registry import build
from mmdet.apis.config_check import check_sections
from mmdet.apis.dialects import canonical
from mmdet.models import DETECTORS

CPU, DEMO = torch.device('cpu'), Path(__file__).resolve().parents[3] / 'configs/ssd_demo.py'
SLIM = {'model.backbone.width_factor': 0.25, 'model.neck.in_channels': (128, 256)}
LITE = {'model.backbone': dict(_delete_=True, type='MobileNetV2', widen_factor=0.25, out_indices=(2, 4)),
        'model.neck': dict(in_channels=(8, 24), out_channels=(8, 24, 128, 64, 64), use_depthwise=True, l2_norm_scale=None,
                           act_cfg=dict(type='ReLU6')),
        'model.bbox_head': dict(in_channels=(8, 24, 128, 64, 64), use_depthwise=True, norm_cfg=dict(type='SyncBN'),
                                act_cfg=dict(type='ReLU6'))}
PARTS = {
    'SSDLite': LITE,
    'a tower': {**SLIM, 'model.bbox_head': dict(stacked_convs=1, feat_channels=32, norm_cfg=dict(type='GN', num_groups=4),
                                               act_cfg=dict(type='LeakyReLU'))},
    'frozen stages': {'model.backbone.frozen_stages': 2, 'model.backbone.norm_eval': True},
    'boxes': {'model.bbox_head': dict(reg_decoded_bbox=True, loss_bbox=dict(type='CIoULoss'))}}


def config(**changes):
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict(changes)
    return canonical(cfg)


def batch():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(4, 3, 2, generator=generator) * 90
    return {'img': torch.randn(4, 3, 160, 160, generator=generator), 'img_metas': [{'pad_shape': (160, 160, 3)}] * 4,
            'gt_bboxes': torch.cat([corners, corners + 20 + torch.rand(4, 3, 2, generator=generator) * 50], dim=2),
            'gt_labels': torch.randint(0, 6, (4, 3), generator=generator)}


@pytest.mark.parametrize('level', ['O0', pytest.param('O2', marks=pytest.mark.newer_torch)])
@pytest.mark.parametrize('part', PARTS)
def test_losses_fall_at_each_level_of_precision(part, level):
    torch.manual_seed(0)
    model = build(config(**PARTS[part]), DETECTORS, key='model').train()
    precision = Precision(CPU, level, **({} if level == 'O0' else {'dtype': 'bfloat16'}))
    wrapper = MMDataParallel(model, CPU, None, precision)
    step = OptimizerStep(build_optimizer(model, {'optimizer': dict(type='AdamW', lr=2e-3)}), dict(max_norm=10))
    frozen = {name: weight.clone() for name, weight in model.state_dict().items() if name.startswith('backbone.features.0.')}
    losses = []
    for _ in range(8):
        outputs = wrapper.train_step(batch())
        losses.append(outputs['loss'].item())
        step.zero_grad()
        step.backward(outputs['loss'])
        step.clip()
        step.step()
    assert losses[-1] < 0.8 * losses[0]
    for name, value in frozen.items():
        assert model.state_dict()[name].equal(value) == (part == 'frozen stages')


@pytest.mark.parametrize('part', PARTS)
def test_the_check_of_a_config_makes_each_without_a_fault(part):
    found = check_sections(config(**PARTS[part]), 'train')
    assert found.faults == [] and found.boxes


@pytest.mark.parametrize('changes, words', [
    ({'model.backbone.frozen_stages': 9}, 'ssd_demo.py|frozen_stages 9'),
    ({'model.backbone.norm_cfg.type': 'BM'}, 'model.backbone.norm_cfg.type: no component of NORM_LAYERS'),
    ({'model.bbox_head.loss_bbox': dict(type='GIoULos'), 'model.bbox_head.reg_decoded_bbox': True}, "Did you mean 'GIoULoss'"),
    ({'model.bbox_head.loss_bbox': dict(type='GIoULoss')}, 'reg_decoded_bbox=True'),
    ({'model.neck.act_cfg': dict(type='relu')}, "Did you mean 'ReLU'"),
    ({'model.bbox_head.init_cfg': dict(type='Normal', std=1.)}, 'name the layers')])
def test_what_is_wrong_with_a_part_is_said_before_data_are_read(changes, words):
    with pytest.raises(ConfigError, match=words):
        check_sections(config(**changes), 'train')
