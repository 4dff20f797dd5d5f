"""Checkpoints and configs from before MMDetection 2.14, with all layers in the backbone, become today's network."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.checkpoint import save_checkpoint
from mmcv_need.config import Config
from mmcv_need.errors import CheckpointError
from mmcv_need.registry import build
from mmcv_need.weights import load_weights
from mmdet.apis.dialects import canonical
from mmdet.apis.inference import load_detector
from mmdet.models import DETECTORS
from mmdet.models.key_layouts import current_key

# SSD as MMDetection 2.6 and Ascend's ModelZoo write it, by input size: head channels, first size ratio, strides, ratios.
OLD = {300: ((512, 1024, 512, 256, 256, 256), 0.15, [8, 16, 32, 64, 100, 300], [[2], [2, 3], [2, 3], [2, 3], [2], [2]]),
       512: ((512, 1024, 512, 256, 256, 256, 256), 0.1, [8, 16, 32, 64, 128, 256, 512],
             [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]])}
TRAIN_CFG = dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0., ignore_iof_thr=-1,
                               gt_max_assign_all=False), smoothl1_beta=1., allowed_border=-1, pos_weight=-1, neg_pos_ratio=3,
                 debug=False)
TEST_CFG = dict(nms=dict(type='nms', iou_threshold=0.45), min_bbox_size=0, score_thr=0.02, max_per_img=200)


def old_config(size):
    channels, first, strides, ratios = OLD[size]
    return canonical(Config(dict(
        input_size=size, train_cfg=TRAIN_CFG, test_cfg=TEST_CFG,
        model=dict(
            type='SingleStageDetector', pretrained=None, neck=None,
            backbone=dict(type='SSDVGG', input_size=size, depth=16, with_last_pool=False, ceil_mode=True, out_indices=(3, 4),
                          out_feature_indices=(22, 34), l2_norm_scale=20),
            bbox_head=dict(
                type='SSDHead', in_channels=channels, num_classes=80,
                anchor_generator=dict(type='SSDAnchorGenerator', scale_major=False, input_size=size,
                                      basesize_ratio_range=(first, 0.9), strides=strides, ratios=ratios),
                bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0],
                                target_stds=[0.1, 0.1, 0.2, 0.2]))))))


@pytest.fixture(scope='module')
def keymap(stored):
    """Names of SSD300's weights: since 2.14 -> before."""
    return stored('keymap_2_11.json')['keymap_2_28_to_2_11']


@pytest.fixture(scope='module')
def old_file(tmp_path_factory, keymap, stored, recipe):
    """A checkpoint of the old layout, in its order, with the recipe's weights."""
    shapes, new_name = stored('state_shapes.json')['ssd300'], {old: new for new, old in keymap.items()}
    state = {old: torch.from_numpy(recipe.fill(new_name[old], shapes[new_name[old]]))
             for old in stored('keymap_2_11.json')['order_2_11']}
    path = tmp_path_factory.mktemp('old') / 'old.pth'
    save_checkpoint({'meta': {'epoch': 1, 'iter': 1}, 'state_dict': state}, str(path))
    return path


def test_every_old_name_becomes_the_new_one_and_every_new_one_stays(keymap):
    assert {new: current_key(old) for new, old in keymap.items()} == {new: new for new in keymap}
    assert [current_key(new) for new in keymap] == list(keymap)
    assert sum(new != old for new, old in keymap.items()) == 41  # 8 convolutions and 12 of the head with biases, the L2 norm


@pytest.mark.parametrize('size', [300, 512])
def test_an_old_config_makes_the_network_of_the_new_one(size, build_detector):
    old, new = build(old_config(size), DETECTORS, key='model'), build_detector(f'ssd{size}_coco.py')
    assert {key: value.shape for key, value in old.state_dict().items()} == {
        key: value.shape for key, value in new.state_dict().items()}
    assert str(old) == str(new)
    assert old.test_cfg.nms_pre == -1 and new.test_cfg.nms_pre == 1000  # an old config has no limit a level


def test_old_weights_give_the_scores_of_mmdetection_in_configs_of_both_ages(old_file, recipe, stored, build_detector):
    data, images = stored('forward_recipe.npz'), torch.from_numpy(recipe.images(1234, 2))
    new = build_detector('ssd300_coco.py')
    assert not any(load_weights(new, torch.load(old_file, weights_only=True)['state_dict'], str(old_file), strict=True))
    old, _ = load_detector(old_config(300), str(old_file))
    with torch.no_grad():
        for detector in (old, new):
            scores, _ = detector.bbox_head(detector.extract_feat(images))
            first = scores[:, :5776].reshape(2, 38, 38, 324).permute(0, 3, 1, 2).reshape(-1)
            torch.testing.assert_close(first[::97], torch.from_numpy(data['cls_0_every97']), rtol=0, atol=2e-5)


def test_what_an_old_file_lacks_is_said_under_the_new_name(old_file, tmp_path, build_detector):
    state = torch.load(old_file, weights_only=True)['state_dict']
    del state['backbone.extra.3.weight']
    with pytest.raises(CheckpointError, match=r'not in the checkpoint: neck\.extra_layers\.1\.1\.conv\.weight$'):
        load_weights(build_detector('ssd300_coco.py'), state, 'old.pth', strict=True)
