"""Default boxes, matching and coding, compared with what MMDetection computed (tests/parity/data/README.md)."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.bbox.iou import anchor_overlaps, bbox_overlaps
from mmdet.models.losses.multibox_loss import multibox_loss

SETTINGS = {
    'ssd': dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, gt_max_assign_all=False),
    'all': dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, gt_max_assign_all=True),
    'rpn': dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
    'nolow': dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, match_low_quality=False),
}
STDS = {'ssd': (0.1, 0.1, 0.2, 0.2), 'ones': (1., 1., 1., 1.)}


@pytest.fixture(scope='module')
def anchors(recipe):
    generator = SSDAnchorGenerator(strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]],
                                   input_size=300, basesize_ratio_range=(0.15, 0.9))
    return generator.grid_anchors(recipe.SSD300_FEAT, torch.device('cpu'))


def ground_truths(data, name):
    """As a batch of one; no ground truths are one padded row."""
    boxes, labels = torch.from_numpy(data[f'gt_{name}_boxes']), torch.from_numpy(data[f'gt_{name}_labels'])
    if len(labels) == 0:
        boxes, labels = torch.zeros(1, 4), torch.tensor([-1])
    return boxes[None], labels[None]


def gt_indices(assigner, anchors, boxes, labels):
    """(A,) in MMDetection's form: -1 ignored, 0 background, k + 1 matched to ground truth k."""
    found = assigner.assign(anchors, boxes, labels)
    indices = torch.where(found.positive, found.matched + 1, torch.where(found.negative, 0, -1))
    return indices[0].numpy()


def test_every_default_box_is_bit_equal(anchors, stored):
    data = stored('anchors_ssd300_coco.npz')
    expected = np.concatenate([data[f'grid_{level}'] for level in range(6)])
    assert anchors.num_level == (5776, 2166, 600, 150, 36, 4)
    np.testing.assert_array_equal(anchors.boxes.numpy(), expected)


@pytest.mark.parametrize('ground_truth', ['n0', 'n1', 'n50', 'dup', 'tiny'])
@pytest.mark.parametrize('setting', SETTINGS)
def test_matches_are_equal(setting, ground_truth, anchors, stored):
    """Of the settings that were stored, ignored regions (`ign`, `ignf`) are not supported, and are not compared."""
    data = stored('assigner.npz')
    boxes, labels = ground_truths(data, ground_truth)
    actual = gt_indices(MaxIoUAssigner(**SETTINGS[setting]), anchors, boxes, labels)
    np.testing.assert_array_equal(actual, data[f'{setting}_{ground_truth}_gt_inds'])


@pytest.mark.parametrize('setting, claimed', [('ssd', [0]), ('rpn', []), ('nolow', [])])
def test_matches_of_tied_boxes_are_equal_but_for_a_ground_truth_without_overlap(setting, claimed, anchors, stored):
    """The deliberate difference: the last of four ground truths is empty and overlaps no box; MMDetection gives it box 0.

    Here that robs ground truth 2, whose best box is box 0; ours keeps it.
    """
    data = stored('assigner.npz')
    boxes, labels = ground_truths(data, 'ties')
    expected = data[f'{setting}_ties_gt_inds'].copy()
    assert np.flatnonzero(expected == 4).tolist() == claimed
    expected[claimed] = 2
    np.testing.assert_array_equal(gt_indices(MaxIoUAssigner(**SETTINGS[setting]), anchors, boxes, labels), expected)


def test_a_ground_truth_without_overlap_does_not_claim_all_boxes_that_tie_at_zero(anchors, stored):
    """MMDetection's `gt_max_assign_all` makes all 8732 boxes positive here; ours as many as without it."""
    data = stored('assigner.npz')
    boxes, labels = ground_truths(data, 'ties')
    assert (data['all_ties_gt_inds'] > 0).all()
    actual = gt_indices(MaxIoUAssigner(**SETTINGS['all']), anchors, boxes, labels)
    without_it = gt_indices(MaxIoUAssigner(**SETTINGS['all']), anchors, boxes[:, :3], labels[:, :3])
    np.testing.assert_array_equal(actual, without_it)
    assert 0 < (actual > 0).sum() < 100


@pytest.mark.parametrize('ground_truth', ['n1', 'n50', 'dup', 'tiny', 'ties'])
def test_largest_overlaps_are_equal(ground_truth, anchors, stored):
    data = stored('assigner.npz')
    boxes, _ = ground_truths(data, ground_truth)
    largest = anchor_overlaps(boxes, anchors).amax(dim=1)[0].numpy()
    np.testing.assert_allclose(largest, data[f'ssd_{ground_truth}_max_overlaps'], rtol=1e-6, atol=0)


@pytest.mark.parametrize('mode', ['iou', 'iof'])
def test_overlaps_of_two_lists_are_equal(mode, stored):
    data = stored('coder.npz')
    actual = bbox_overlaps(torch.from_numpy(data['priors'][:50]), torch.from_numpy(data['gt']), mode)
    np.testing.assert_allclose(actual.numpy(), data[f'ov_{mode}'], rtol=1e-6, atol=0)


@pytest.mark.parametrize('stds', STDS)
def test_encoded_offsets_are_equal(stds, stored):
    data = stored('coder.npz')
    coder = DeltaXYWHBBoxCoder(target_stds=STDS[stds])
    actual = coder.encode(torch.from_numpy(data['priors']), torch.from_numpy(data['gt']))
    np.testing.assert_allclose(actual.numpy(), data[f'enc_{stds}'], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('shape', ['noshape', 'shape'])
@pytest.mark.parametrize('clip', [0, 1])
@pytest.mark.parametrize('stds', STDS)
def test_decoded_boxes_are_equal(stds, clip, shape, stored):
    data = stored('coder.npz')
    coder = DeltaXYWHBBoxCoder(target_stds=STDS[stds], clip_border=bool(clip))
    max_shape = (torch.tensor(280.), torch.tensor(300.)) if shape == 'shape' else None
    actual = coder.decode(torch.from_numpy(data['priors']), torch.from_numpy(data['deltas']), max_shape)
    np.testing.assert_allclose(actual.numpy(), data[f'dec_{stds}_clip{clip}_{shape}'], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize('name, beta', [('1.000', 1.0), ('0.111', 1 / 9), ('0.500', 0.5)])
def test_smooth_l1_is_equal(name, beta, stored):
    """200 images of one positive box, off by the stored differences."""
    data = stored('coder.npz')
    deltas, positive = torch.from_numpy(data['l1_none'])[:, None], torch.ones(200, 1, dtype=torch.bool)
    scores, targets = torch.zeros(200, 1, 2), torch.zeros(200, 1, 4)
    losses = multibox_loss(scores, deltas, positive.long(), targets, positive, ~positive, beta=beta)
    np.testing.assert_allclose(losses['loss_bbox'] * 200, data[f'sl1_none_{name}'].sum(axis=1), rtol=1e-6, atol=1e-7)
