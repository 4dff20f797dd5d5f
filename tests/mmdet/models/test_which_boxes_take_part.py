"""Default boxes inside ignored regions or beyond a padded picture: from the sample to the loss, they never count."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.errors import ConfigError
from mmdet.apis.test import finish_batch
from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.sample import Sample
from mmdet.models.dense_heads.ssd_head import SSDHead, SSDTrainCfg

MAPS = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
GT_BBOXES, GT_LABELS = torch.tensor([[[10., 10., 100., 100.]]]), torch.tensor([[4]])
REGION = torch.tensor([[[150., 150., 290., 290.], [0., 0., 0., 0.]]])


@pytest.fixture(scope='module')
def ssd300():
    generator = SSDAnchorGenerator(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    head = SSDHead([8] * 6, generator)
    return head, generator.grid_anchors(MAPS, torch.device('cpu'))


def train_cfg(**assigner):
    return SSDTrainCfg(MaxIoUAssigner(0.5, 0.5, gt_max_assign_all=False, **assigner))


def check_that_they_never_count(head, anchors, out, cfg, **masks):
    """Boxes `out` (A,) bool have by far the hardest negatives, so that mining would take them first."""
    scores = torch.randn(1, 8732, 81, generator=torch.Generator().manual_seed(0))
    scores[0, out, 7] += 100.
    assert 100 < out.sum() < 8000
    arguments = torch.randn(1, 8732, 4, generator=torch.Generator().manual_seed(1)), anchors, GT_BBOXES, GT_LABELS
    losses = []
    for added in (0., -100., 1000.):
        changed = scores.clone()
        changed[0, out, 7] += added
        changed.requires_grad_()
        loss = head.loss(changed, *arguments, cfg, **masks)
        loss['loss_cls'].sum().backward()
        assert changed.grad[0, out].abs().max() == 0 and (changed.grad[0].abs().sum(dim=1) > 0).sum() >= 4
        losses.append(loss['loss_cls'].item())
    assert losses == [losses[0]] * 3 and losses[0] > 0
    assert head.loss(scores, *arguments, train_cfg())['loss_cls'].item() > losses[0] + 10  # these masks are why


def test_ignored_boxes_are_never_mined(ssd300):
    head, anchors = ssd300
    low, high = anchors.boxes[:, :2].clamp(min=150), anchors.boxes[:, 2:].clamp(max=290)
    share = (high - low).clamp(min=0).prod(dim=1) / anchors.areas
    check_that_they_never_count(head, anchors, share > 0.5, train_cfg(ignore_iof_thr=0.5), gt_bboxes_ignore=REGION)


def test_boxes_beyond_a_padded_picture_are_never_mined(ssd300):
    head, anchors = ssd300
    valid = anchors.valid_in([(200, 260)])
    check_that_they_never_count(head, anchors, ~valid[0], train_cfg(), valid=valid)


def sample(height=160, width=160, regions=()):
    """What a pipeline has before `Collect`: one object, and ignored regions."""
    made = Sample(img=np.full((height, width, 3), 99, np.uint8), gt_bboxes=np.float32([[10, 10, 90, 90]]),
                  gt_labels=np.array([2]), gt_bboxes_ignore=np.float32(regions).reshape(-1, 4))
    made.set_shape((height, width))
    return made


def batch_of(*samples, keys=('img', 'gt_bboxes', 'gt_labels', 'gt_bboxes_ignore')):
    return collate([Collect(keys)(made) for made in samples])


def losses_of(detector, batch):
    torch.manual_seed(0)
    return MMDataParallel(detector, torch.device('cpu'), finish_batch).train().train_step(batch)['log_vars']


def test_ignored_regions_of_a_batch_are_padded_with_empty_boxes():
    batch = batch_of(sample(regions=[[0, 0, 5, 5]]), sample(), sample(regions=[[1, 2, 3, 4]] * 9))
    assert batch['gt_bboxes_ignore'].shape == (3, 16, 4) and batch['gt_bboxes_ignore'].dtype == torch.float32
    assert batch['gt_bboxes_ignore'].sum(dim=(1, 2)).tolist() == [10, 0, 90]
    assert batch_of(sample(), sample())['gt_bboxes_ignore'].tolist() == [[[0.] * 4] * 8] * 2
    assert 'gt_bboxes_ignore' not in batch_of(sample(), keys=('img', 'gt_bboxes', 'gt_labels'))


def test_ignored_regions_reach_the_loss_if_the_assigner_asks_for_them(build_detector):
    torch.manual_seed(0)
    usual = build_detector('ssd_demo.py')
    ignoring = build_detector('ssd_demo.py', **{'train_cfg.assigner.ignore_iof_thr': 0.5})
    ignoring.load_state_dict(usual.state_dict())
    none, everything = batch_of(sample(), sample()), batch_of(*[sample(regions=[[-200, -200, 400, 400]])] * 2)
    assert losses_of(ignoring, none) == losses_of(usual, none) == losses_of(usual, everything)
    assert losses_of(usual, none)['loss'] > 0
    assert losses_of(ignoring, everything)['loss'] == 0
    with pytest.raises(ConfigError, match="'gt_bboxes_ignore' in the `Collect`"):
        losses_of(ignoring, batch_of(sample(), sample(), keys=('img', 'gt_bboxes', 'gt_labels')))


def test_each_picture_of_a_padded_batch_has_boxes_of_its_own(build_detector, monkeypatch):
    """The smaller picture of two has fewer; two of one size have all, and nothing is computed for it."""
    torch.manual_seed(0)
    detector, seen = build_detector('ssd_demo.py'), []
    assign = MaxIoUAssigner.assign

    def spy(self, anchors, *arguments):
        seen.append((anchors, arguments[-1]))
        return assign(self, anchors, *arguments)

    monkeypatch.setattr(MaxIoUAssigner, 'assign', spy)
    losses_of(detector, batch_of(sample(160, 160), sample(120, 100)))
    losses_of(detector, batch_of(sample(160, 160), sample(160, 160)))
    (anchors, valid), (_, usual) = seen
    inside = (anchors.origins[:, 0] < 100) & (anchors.origins[:, 1] < 120)
    assert valid[0].all() and valid[1].equal(inside) and not inside.all()
    assert usual is None
