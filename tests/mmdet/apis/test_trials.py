"""A made-up picture goes through the pipelines and the network of a config: what comes out is what real ones would give."""
from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch

from mmcv_need import torch_versions
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis.dialects import canonical
from mmdet.apis.trial_network import try_network, without_weights
from mmdet.apis.trial_pipelines import normalisations, try_pipelines
from mmdet.models import DETECTORS

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'


def load(name='ssd_demo.py', **changes):
    cfg = Config.fromfile(CONFIGS / name)
    cfg.merge_from_dict(copy.deepcopy(changes))
    return canonical(cfg)


@pytest.mark.parametrize('name, side', [
    ('ssd300_coco.py', 300), ('ssd512_voc0712.py', 512), ('ssd_demo.py', 160),
    ('ssdlite_mobilenetv2_scratch_600e_coco.py', 320)])
@pytest.mark.parametrize('section', ['train', 'val', 'test'])
def test_the_pipelines_of_shipped_configs_make_pictures_of_one_size(name, side, section):
    assert try_pipelines(load(name), section) == ([], [(side, side)])


def test_pictures_that_keep_their_sides_have_several_sizes():
    cfg = load(**{'data.val.pipeline.1.transforms.0.keep_ratio': True})
    assert try_pipelines(cfg, 'val') == ([], [(120, 160), (160, 120)])


def test_every_view_of_a_test_picture_is_looked_at():
    cfg = load(**{'data.val.pipeline.1.img_scale': [(160, 160), (320, 320)]})
    assert try_pipelines(cfg, 'val') == ([], [(160, 160), (320, 320)])


def test_the_place_of_a_step_that_fails_is_named():
    (fault,), sizes = try_pipelines(load(**{'data.train.pipeline.4.img_scale': None}), 'train')
    assert re.search(r'ssd_demo\.py:20: data\.train\.pipeline\.4: Resize needs img_scale', str(fault)) and sizes == []


class OwnReader:
    """A first step of somebody's own, that opens what the record names."""

    def __call__(self, sample):
        with open(sample['img_info']['filename'], 'rb') as file:
            sample['img'] = file.read()
        return sample


def test_a_step_that_reads_files_of_its_own_cannot_be_tried_and_is_no_fault():
    cfg = load()
    cfg.data.train.pipeline[0] = {'type': OwnReader}
    assert try_pipelines(cfg, 'train') == ([], [])


@pytest.mark.parametrize('name, side', [('ssd300_coco.py', 300), ('ssd_demo.py', 160), ('ssd_demo.py', 200)])
def test_the_network_without_pixels_has_the_boxes_of_the_real_one(name, side):
    cfg = load(name)
    found = try_network(cfg, (side, side), 2)
    model = build(without_weights(cfg), DETECTORS, key='model').eval()
    with torch.no_grad():
        scores, _, sizes = model.predict(torch.zeros(1, 3, side, side))
    assert found.boxes == scores.size(1) == len(model.bbox_head.anchors(sizes, torch.device('cpu')).boxes)
    assert found.num_classes == scores.size(2) - 1 and len(found.doubts) == (side == 200)  # where strides are those of 160


def test_it_is_the_same_where_torch_has_to_compute(monkeypatch):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', (1, 8))
    assert try_network(load(), (160, 160), 2) == (2390, 6, [])


def test_trying_a_network_draws_no_random_numbers():
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    try_network(load(), (160, 160), 2)
    assert torch.equal(torch.rand(3), expected)


def test_a_batch_of_one_that_batchnorm_cannot_learn_from_is_refused():
    with pytest.raises(ConfigError, match=r'model\.neck: SSDNeck cannot take .* \(Expected more than 1 value per channel'):
        try_network(load(), (160, 160), 1)
    assert try_network(load(), (160, 160), 2)


def test_without_a_size_the_network_is_made_only():
    assert try_network(load(), None, 1) is None
    with pytest.raises(ConfigError, match=r'model\.backbone: SSDVGG: depth 17'):
        try_network(load(**{'model.backbone.depth': 17}), None, 1)


def test_the_config_keeps_its_weights():
    cfg = load('ssd300_coco.py')
    assert without_weights(cfg).model.backbone.init_cfg is None and cfg.model.backbone.init_cfg.type == 'Pretrained'


def test_the_last_normalize_counts_at_whatever_depth():
    nested = [dict(type='Normalize', mean=1, std=1), dict(type='MultiScaleFlipAug', transforms=(dict(
        type='Normalize', mean=[2], std=[3], to_rgb=False),))]
    assert normalisations(nested) == dict(type='Normalize', mean=[2], std=[3], to_rgb=False)
    assert normalisations(nested[:1])['to_rgb'] is True and normalisations([dict(type='Resize')]) is None
