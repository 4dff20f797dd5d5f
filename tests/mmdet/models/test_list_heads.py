"""Heads and detectors in MMDetection's manner: what they are given, and what becomes of what they give."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mmcv_need import registry
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.core.post_processing.detections import Detections
from mmdet.models import build_backbone, build_detector, build_head, build_neck
from mmdet.models.base_module import BaseModule
from mmdet.models.builder import BACKBONES, DETECTORS, HEADS
from mmdet.models.dense_heads import BaseDenseHead
from mmdet.models.detectors import BaseDetector, SingleStageDetector
from mmdet.models.list_heads import as_detections, as_lists, as_numbers, padded

METAS = [{'img_shape': (64, 64, 3), 'scale_factor': np.ones(4, np.float32), 'pad_shape': (64, 64, 3)}] * 2
BOXES = torch.tensor([[[1., 2, 30, 40], [5, 5, 9, 9], [0, 0, 0, 0]], [[0, 0, 50, 60], [0, 0, 0, 0], [0, 0, 0, 0]]])
LABELS = torch.tensor([[2, 0, -1], [1, -1, -1]])


class Patches(BaseModule):
    """A backbone that keeps what it was given."""

    def __init__(self, width, norm_cfg=None, init_cfg=None):
        super().__init__(init_cfg)
        self.norm_cfg, self.made = norm_cfg, 0
        self.conv = nn.Conv2d(3, width, 8, stride=8)

    def init_weights(self):
        super().init_weights()
        self.made += 1

    def forward(self, x):
        return (self.conv(x),)


class Recorder(BaseDenseHead):
    """A head that notes what it is given; its losses depend on its only convolution."""

    def __init__(self, num_classes=3, train_cfg=None, test_cfg=None, init_cfg=None):
        super().__init__(init_cfg)
        self.num_classes, self.train_cfg, self.test_cfg = num_classes, train_cfg, test_cfg
        self.conv = nn.Conv2d(4, 1, 1)

    def forward(self, feats):
        return [self.conv(feat) for feat in feats], [feat.mean() for feat in feats]

    def loss(self, cls_scores, bbox_preds, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore=None):
        self.seen = gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore
        return dict(loss_cls=[cls_scores[0][0], cls_scores[0][1]], loss_bbox=bbox_preds[0], acc=torch.tensor(0.5))

    def get_bboxes(self, cls_scores, bbox_preds, img_metas, cfg=None, rescale=False):
        self.rescale = rescale
        return [(torch.tensor([[1., 2, 3, 4, 0.2], [5, 6, 7, 8, 0.9]]), torch.tensor([1, 0])) for _ in img_metas]


class Whole(BaseDetector):
    """A detector that builds its parts itself, as MMDetection's do."""

    def __init__(self, backbone, bbox_head, neck=None, train_cfg=None, test_cfg=None, init_cfg=None):
        super().__init__(init_cfg)
        self.backbone = build_backbone(backbone)
        bbox_head.update(train_cfg=train_cfg)
        bbox_head.update(test_cfg=test_cfg)
        self.bbox_head = build_head(bbox_head)

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore=None):
        return self.bbox_head.forward_train(self.backbone(img), img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)

    def simple_test(self, img, img_metas, rescale=False):
        return self.bbox_head.simple_test(self.backbone(img), img_metas, rescale=rescale)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """These classes by their names, for this module."""
    monkeypatch.setattr(registry, '_TABLE', dict(registry._TABLE))
    for kind, classes in ((BACKBONES, [Patches]), (HEADS, [Recorder]), (DETECTORS, [Whole])):
        for each in classes:
            kind.register_module(module=each)


def config(kind='SingleStageDetector', **more):
    return dict(type=kind, backbone=dict(type='Patches', width=4, norm_cfg=dict(type='BN')), bbox_head=dict(type='Recorder'),
                **more)


@pytest.fixture(params=['SingleStageDetector', 'Whole'])
def detector(request):
    return build(config(request.param), DETECTORS)


def test_losses_are_given_lists_without_padding_and_become_numbers(detector):
    losses = detector(torch.ones(2, 3, 64, 64), METAS, gt_bboxes=BOXES, gt_labels=LABELS,
                      gt_bboxes_ignore=torch.tensor([[[1., 1, 2, 2], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]]))
    boxes, labels, metas, ignored = detector.bbox_head.seen
    assert [part.tolist() for part in boxes] == [BOXES[0, :2].tolist(), BOXES[1, :1].tolist()]
    assert [part.tolist() for part in labels] == [[2, 0], [1]] and [len(part) for part in ignored] == [1, 0]
    assert metas[0]['batch_input_shape'] == (64, 64) and metas[0]['img_shape'] == (64, 64, 3)
    assert {name: loss.shape for name, loss in losses.items()} == dict.fromkeys(('loss_cls', 'loss_bbox', 'acc'), ())
    maps = detector.bbox_head.conv(detector.backbone(torch.ones(2, 3, 64, 64))[0])
    assert losses['loss_cls'].item() == pytest.approx((maps[0].mean() + maps[1].mean()).item(), rel=1e-5)


def test_what_is_no_loss_is_logged_and_not_learnt_from(detector):
    losses = detector(torch.ones(2, 3, 64, 64), METAS, gt_bboxes=BOXES, gt_labels=LABELS)
    answer = detector.summarize_losses(losses, 2)
    assert answer['loss'].item() == pytest.approx((losses['loss_cls'] + losses['loss_bbox']).item())
    assert set(answer['log_vars']) == {'loss_cls', 'loss_bbox', 'acc', 'loss'} and answer['log_vars']['acc'] == 0.5
    answer['loss'].backward()
    assert detector.bbox_head.conv.weight.grad.abs().sum() > 0


def test_what_is_found_becomes_detections_best_first(detector):
    found = detector(torch.ones(2, 3, 64, 64), METAS, return_loss=False, rescale=True)
    assert detector.bbox_head.rescale is True and len(found) == 2
    assert found[0].scores.tolist() == [np.float32(0.9), np.float32(0.2)] and found[0].labels.tolist() == [0, 1]
    assert found[0].bboxes.tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]


def test_first_weights_are_made_once_and_settings_arrive_as_written():
    made = build(config(), DETECTORS)
    assert made.backbone.made == 1 and made.backbone.is_init
    assert made.backbone.norm_cfg == dict(type='BN')
    whole = build(config('Whole', train_cfg=dict(a=1), test_cfg=dict(b=2)), DETECTORS)
    assert whole.bbox_head.train_cfg == dict(a=1) and whole.bbox_head.test_cfg == dict(b=2)
    assert whole.backbone.made == 0
    whole.init_weights()
    whole.init_weights()
    assert whole.backbone.made == 1


def test_a_constructor_that_changes_its_settings_changes_no_config():
    cfg = config('Whole', train_cfg=dict(a=1))
    build(cfg, DETECTORS)
    assert cfg == config('Whole', train_cfg=dict(a=1))


def test_init_cfg_fills_layers_and_builds_like_mmcvs():
    module = Patches(4, init_cfg=dict(type='Constant', layer='Conv2d', val=0.25, bias=2.))
    module.init_weights()
    assert (module.conv.weight == 0.25).all() and (module.conv.bias == 2).all()


class Weighted(SingleStageDetector):
    """A detector that changes losses, as distillation does."""

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore=None):
        self.lists = gt_bboxes
        losses = super().forward_train(img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)
        return {name: 2 * loss for name, loss in losses.items()}

    def simple_test(self, img, img_metas, rescale=False):
        return [found.by_class(6) for found in super().simple_test(img, img_metas, rescale)]


def test_a_detector_may_override_ours_and_call_it(build_detector):
    torch.manual_seed(0)
    ours = build_detector('ssd_demo.py').eval()
    theirs = Weighted(ours.backbone, ours.neck, ours.bbox_head, ours.train_cfg, ours.test_cfg)
    img, boxes, labels = torch.rand(2, 3, 160, 160), BOXES, LABELS
    expected = ours(img, METAS, gt_bboxes=boxes, gt_labels=labels)
    losses = theirs(img, METAS, gt_bboxes=boxes, gt_labels=labels)
    assert [len(part) for part in theirs.lists] == [2, 1]
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], 2 * loss.sum())
    with torch.no_grad():
        found, same = (each(img, METAS, return_loss=False, rescale=True) for each in (theirs, ours))
    for one, other in zip(found, same):
        order = np.lexsort((one.bboxes[:, 0], -one.scores)), np.lexsort((other.bboxes[:, 0], -other.scores))
        np.testing.assert_array_equal(one.scores[order[0]], other.scores[order[1]])
        np.testing.assert_array_equal(one.bboxes[order[0]], other.bboxes[order[1]])


@pytest.mark.parametrize('make', [lambda: build(config(), DETECTORS), lambda: Weighted(nn.Identity(), bbox_head=nn.Identity())])
def test_lists_are_neither_compiled_nor_put_together_over_views(make):
    with pytest.raises(ConfigError, match=r'compile: .* lists'):
        make().compile_learning(lambda function, begins_step=False: function)
    with pytest.raises(ConfigError, match='several views'):
        make()([torch.zeros(1, 3, 64, 64)] * 2, [METAS[:1]] * 2, return_loss=False, rescale=True)


def test_padding_goes_and_comes_back():
    boxes, labels, ignored = as_lists(BOXES, LABELS)
    assert ignored is None
    again = padded(boxes, labels)
    assert torch.equal(again[0], BOXES[:, :2]) and torch.equal(again[1], LABELS[:, :2])
    assert [part.shape for part in padded([torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)])] == [(1, 1, 4), (1, 1)]


def test_detections_by_class_are_read_and_others_are_left_alone():
    rows = [np.float32([[1, 2, 3, 4, 0.3]]), np.zeros((0, 5), np.float32), np.float32([[5, 6, 7, 8, 0.6], [0, 0, 1, 1, 0.1]])]
    found = as_detections([rows])[0]
    assert found.labels.tolist() == [2, 0, 2] and found.scores.tolist() == [np.float32(s) for s in (0.6, 0.3, 0.1)]
    assert [part.tolist() for part in found.by_class(3)[0]] == [part.tolist() for part in rows[0]]
    assert as_detections([found])[0] is found and isinstance(found, Detections)


@pytest.mark.parametrize('loss', [1.0, [], [1.0], 'x'])
def test_a_loss_that_is_no_tensor_is_an_error_that_names_it(loss):
    with pytest.raises(TypeError, match='loss_x is a'):
        as_numbers({'loss_x': loss})


def test_build_functions_return_what_they_are_given_and_build_dicts():
    head = Recorder()
    assert build_head(head) is head and isinstance(build_head(dict(type='Recorder', num_classes=5)), Recorder)
    both = build_backbone([dict(type='Patches', width=4), dict(type='Patches', width=2)])
    assert isinstance(both, nn.Sequential) and both[1].conv.out_channels == 2
    assert build_detector(config('Whole'), train_cfg=dict(a=1)).bbox_head.train_cfg == dict(a=1)
    neck = nn.Identity()
    assert build_neck(neck) is neck


def test_what_is_found_may_be_a_pair_in_a_list_and_tensors_that_learn():
    boxes, labels = torch.tensor([[1., 2, 30, 40, 0.5], [5, 5, 9, 9, 0.9]], requires_grad=True), torch.tensor([2, 0])
    pair, = as_detections([[boxes, labels]])
    by_class, = as_detections([[boxes[1:], torch.zeros(0, 5), boxes[:1]]])
    for found in (pair, by_class):
        assert found.labels.tolist() == [0, 2] and found.scores.tolist() == pytest.approx([0.9, 0.5])
