"""The detector as a whole: a small one, built from the demo's config."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmdet.core.post_processing.detections import Detections
from mmdet.models.detectors.single_stage import SingleStageDetector

META = {'img_shape': (160, 160, 3), 'scale_factor': [.5, 2., .5, 2.]}


@pytest.fixture(scope='module')
def detector(build_detector):
    torch.manual_seed(0)
    return build_detector('ssd_demo.py').eval()


def ground_truth():
    return torch.tensor([[[10., 20., 90., 100.]], [[0., 0., 0., 0.]]]), torch.tensor([[2], [-1]])


@pytest.mark.parametrize('name, parameters, tensors', [('ssd300_coco.py', 34_305_206, 71), ('ssd512_coco.py', 36_038_196, 79)])
def test_parameters_are_as_many_as_published(name, parameters, tensors, build_detector):
    found = list(build_detector(name).parameters())
    assert (sum(p.numel() for p in found), len(found)) == (parameters, tensors)


def test_training_gives_a_loss_of_each_kind_for_each_image(detector):
    gt_bboxes, gt_labels = ground_truth()
    losses = detector(torch.randn(2, 3, 160, 160), gt_bboxes=gt_bboxes, gt_labels=gt_labels)
    assert {name: loss.shape for name, loss in losses.items()} == {'loss_cls': (2,), 'loss_bbox': (2,)}
    assert losses['loss_cls'][0] > 0 and losses['loss_bbox'][0] > 0
    assert losses['loss_cls'][1] == 0 and losses['loss_bbox'][1] == 0


def test_every_parameter_gets_a_gradient(detector):
    gt_bboxes, gt_labels = torch.rand(2, 8, 2, 2).sort(dim=2).values.flatten(2) * 160, torch.randint(6, (2, 8))
    losses = detector.train()(torch.randn(2, 3, 160, 160), gt_bboxes=gt_bboxes, gt_labels=gt_labels)
    detector.summarize_losses(losses, 2)['loss'].backward()
    assert [name for name, p in detector.named_parameters() if p.grad is None] == []
    detector.zero_grad()
    detector.eval()


def test_the_answer_of_a_step_is_the_sum_of_losses_and_values_to_log():
    losses = {'loss_cls': torch.tensor([1., 2.], requires_grad=True), 'loss_bbox': torch.tensor([4., 0.], requires_grad=True)}
    answer = SingleStageDetector.summarize_losses(losses, 2)
    assert answer['loss'].item() == 7 and answer['loss'].requires_grad
    assert {name: value.item() for name, value in answer['log_vars'].items()} == {'loss_cls': 3, 'loss_bbox': 4, 'loss': 7}
    assert list(answer['log_vars'])[-1] == 'loss'
    assert not any(value.requires_grad for value in answer['log_vars'].values())
    assert answer['num_samples'] == 2


def test_testing_gives_detections_for_each_image_in_pixels_of_the_original_if_asked(detector):
    img = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        results = detector(img, [META, META], return_loss=False)
        rescaled = detector(img, [META, META], return_loss=False, rescale=True)
    assert len(results) == 2 and all(isinstance(result, Detections) for result in results)
    for result, original in zip(results, rescaled):
        assert 0 < len(result.scores) <= 100
        assert (result.scores[:-1] >= result.scores[1:]).all()
        assert result.bboxes.min() >= 0 and result.bboxes.max() <= 160
        assert set(result.labels) <= set(range(6))
        assert original.bboxes[:, 2].max() <= 320 and original.bboxes[:, 3].max() <= 80


def test_a_detector_without_neck_predicts_on_the_backbones_features(detector):
    class Backbone(nn.Module):
        def forward(self, img):
            return img, img * 2

    bare = SingleStageDetector(Backbone(), bbox_head=detector.bbox_head)
    img = torch.ones(1, 3, 2, 2)
    assert [level.max().item() for level in bare.extract_feat(img)] == [1., 2.]
    assert not any(name.startswith('neck') for name, _ in bare.named_modules())


def test_init_cfg_sees_the_whole_detector(detector):
    seen = []
    made = SingleStageDetector(detector.backbone, detector.neck, detector.bbox_head, init_cfg=seen.append)
    assert seen == [made]
