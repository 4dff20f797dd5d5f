"""model.train_cfg and model.test_cfg reach a head that takes them, and the detector keeps what it knows."""
from __future__ import annotations

import pytest
from torch import nn

from mmcv_need import registry
from mmcv_need.config import Config
from mmdet.apis.dialects import canonical
from mmdet.models import HEADS


class Taking(nn.Module):
    def __init__(self, num_classes, train_cfg=None, test_cfg=None):
        super().__init__()


class Bare(nn.Module):
    def __init__(self, num_classes):
        super().__init__()


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, '_TABLE', dict(registry._TABLE))
    for kind in (Taking, Bare):
        HEADS.register_module(module=kind)


def settled(head, **model):
    return canonical(Config(dict(model=dict(type='SingleStageDetector', backbone=dict(type='SSDVGG'), bbox_head=head,
                                            **model)))).model


ASSIGNER = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5)


def test_a_head_that_takes_them_is_given_all_and_the_detector_keeps_what_it_knows():
    model = settled(dict(type='Taking', num_classes=3), train_cfg=dict(assigner=ASSIGNER, sampler=dict(type='PseudoSampler')),
                    test_cfg=dict(score_thr=0.1, own=1))
    assert model.bbox_head.train_cfg == dict(assigner=ASSIGNER, sampler=dict(type='PseudoSampler'))
    assert model.bbox_head.test_cfg == dict(score_thr=0.1, own=1)
    assert model.train_cfg == dict(assigner=ASSIGNER) and model.test_cfg == dict(score_thr=0.1)


def test_what_the_head_says_itself_stays():
    model = settled(dict(type='Taking', num_classes=3, test_cfg=dict(a=1)), test_cfg=dict(score_thr=0.1))
    assert model.bbox_head.test_cfg == dict(a=1)


@pytest.mark.parametrize('head', [dict(type='Bare', num_classes=3), dict(type='SSDHead', num_classes=3),
                                  dict(type='Nowhere', num_classes=3)])
def test_other_heads_stay_as_they_are(head):
    model = settled(dict(head), train_cfg=dict(assigner=ASSIGNER, own=1))
    assert model.bbox_head == head and model.train_cfg == dict(assigner=ASSIGNER, own=1)


def test_a_backbone_without_weights_of_its_own_need_not_take_init_cfg():
    model = settled(dict(type='Bare', num_classes=3), pretrained=None)
    assert 'init_cfg' not in model.backbone and 'pretrained' not in model
    assert settled(dict(type='Bare', num_classes=3), pretrained='a.pth').backbone.init_cfg.checkpoint == 'a.pth'
