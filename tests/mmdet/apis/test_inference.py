"""Detect in single pictures, from Python."""
from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis import inference_detector, init_detector
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.models import DETECTORS

DEMO = Path(__file__).resolve().parents[3] / 'configs/ssd_demo.py'
SMALL = {'model.backbone.width_factor': 0.0625, 'model.backbone.init_cfg': None, 'model.neck.in_channels': (32, 64),
         'model.neck.out_channels': (32, 64, 32, 16, 16), 'model.bbox_head.in_channels': (32, 64, 32, 16, 16)}


@pytest.fixture
def config():
    """The demo's config, small, with a number of classes."""
    def make(num_classes=6):
        cfg = Config.fromfile(DEMO)
        cfg.merge_from_dict({**SMALL, 'model.bbox_head.num_classes': num_classes})
        return cfg
    return make


@pytest.fixture
def checkpoint(config, tmp_path):
    """Writes the weights of the network of a config, with `meta`."""
    def write(num_classes=6, **meta):
        path = tmp_path / 'weights.pth'
        torch.save({'meta': meta, 'state_dict': build(config(num_classes), DETECTORS, key='model').state_dict()}, path)
        return path
    return write


def test_the_callers_config_stays_as_it_is(config):
    cfg = config(80)
    cfg.model.backbone['init_cfg'] = {'type': 'Pretrained', 'checkpoint': 'nowhere.pth'}
    before = cfg.pretty_text
    detector = init_detector(cfg, device='cpu', cfg_options={'model.test_cfg.score_thr': 0.5})
    assert cfg.pretty_text == before
    assert detector.cfg.model.test_cfg.score_thr == 0.5 and detector.model.module.test_cfg.score_thr == 0.5


def test_paths_may_be_path_objects(checkpoint, tmp_path):
    picture = tmp_path / 'a.png'
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    detector = init_detector(DEMO, checkpoint(CLASSES=list('abcdef')), device='cpu', cfg_options=SMALL)
    assert tuple('abcdef') == detector.CLASSES
    from_path, from_name = inference_detector(detector, picture), inference_detector(detector, [str(picture)])[0]
    assert len(from_path) == 6
    for one, other in zip(from_path, from_name):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('meta', [{}, {'CLASSES': None}])
def test_eighty_labels_without_names_have_cocos(config, checkpoint, meta):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert init_detector(config(80), checkpoint(80, **meta), device='cpu').CLASSES == COCO_CLASSES
        assert init_detector(config(80), device='cpu').CLASSES == COCO_CLASSES


@pytest.mark.parametrize('meta, words', [({}, 'names no classes'), ({'CLASSES': ['a', 'b']}, 'names 2 classes'),
                                         ({'CLASSES': list(COCO_CLASSES)}, 'names 80 classes')])
def test_other_labels_without_fitting_names_are_numbered_and_it_is_said(config, checkpoint, meta, words):
    path = checkpoint(**meta)
    with pytest.warns(UserWarning, match='called class 0') as said:
        detector = init_detector(config(), path, device='cpu')
    assert detector.CLASSES == ('class 0', 'class 1', 'class 2', 'class 3', 'class 4', 'class 5')
    (message,) = [str(one.message) for one in said]
    assert message.startswith(f'{path}: ') and words in message and 'num_classes is 6' in message and '\n' not in message


def test_eighty_labels_with_another_number_of_names_have_cocos_and_it_is_said(config, checkpoint):
    path = checkpoint(80, CLASSES=['a', 'b'])
    with pytest.warns(UserWarning, match="names 2 classes, .* COCO's"):
        assert init_detector(config(80), path, device='cpu').CLASSES == COCO_CLASSES


def test_without_a_checkpoint_other_labels_are_numbered_and_it_is_said(config):
    with pytest.warns(UserWarning, match='no checkpoint'):
        assert init_detector(config(1), device='cpu').CLASSES == ('class 0',)


def test_what_is_no_config_of_a_detector_is_one_line():
    with pytest.raises(ConfigError, match=r'has no model\.backbone, data\.test'):
        init_detector(Config({'runner': {'max_epochs': 1}}), device='cpu')


def test_no_picture_is_an_error(config):
    with pytest.raises(ConfigError, match='at least one picture'):
        inference_detector(init_detector(config(80), device='cpu'), [])


def test_several_pictures_at_once_are_found_in_as_one_by_one(checkpoint):
    detector = init_detector(DEMO, checkpoint(CLASSES=list('abcdef')), device='cpu',
                             cfg_options={**SMALL, 'model.test_cfg.score_thr': 0.05})
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for height, width in ((60, 80), (90, 50), (40, 40))]
    together = inference_detector(detector, pictures)
    assert len(together) == 3 and sum(len(rows) for found in together for rows in found) > 0
    for found, picture in zip(together, pictures):
        for rows, alone in zip(found, inference_detector(detector, picture)):
            np.testing.assert_allclose(rows, alone, rtol=0, atol=1e-3)
