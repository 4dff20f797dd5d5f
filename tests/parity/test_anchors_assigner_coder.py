"""Default boxes, matching and coding, compared with what MMDetection computed (tests/parity/data/README.md)."""
from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.bbox.iou import anchor_overlaps, array_overlaps, bbox_overlaps, paired_overlaps
from mmdet.models.losses.multibox_loss import multibox_loss

SSD300 = {'strides': [8, 16, 32, 64, 100, 300], 'ratios': [[2], [2, 3], [2, 3], [2, 3], [2], [2]], 'input_size': 300}
SSD512 = {'strides': [8, 16, 32, 64, 128, 256, 512], 'ratios': [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
          'input_size': 512}
GENERATORS = {
    'ssd300_coco': {**SSD300, 'basesize_ratio_range': (0.15, 0.9)},
    'ssd300_voc': {**SSD300, 'basesize_ratio_range': (0.2, 0.9)},
    'ssd512_coco': {**SSD512, 'basesize_ratio_range': (0.1, 0.9)},
    'ssd512_voc': {**SSD512, 'basesize_ratio_range': (0.15, 0.9)},
    'ssdlite320': {'strides': [16, 32, 64, 107, 160, 320], 'ratios': [[2, 3]] * 6,
                   'min_sizes': [48, 100, 150, 202, 253, 304], 'max_sizes': [100, 150, 202, 253, 304, 320]},
}
SETTINGS = {
    'ssd': dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, gt_max_assign_all=False),
    'all': dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, gt_max_assign_all=True),
    'rpn': dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
    'nolow': dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, match_low_quality=False),
    'ign': dict(pos_iou_thr=0.5, neg_iou_thr=0.4, ignore_iof_thr=0.5),
    'ignf': dict(pos_iou_thr=0.5, neg_iou_thr=(0.1, 0.4), ignore_iof_thr=0.5, ignore_wrt_candidates=False),
}
STDS = {'ssd': (0.1, 0.1, 0.2, 0.2), 'ones': (1., 1., 1., 1.)}


@pytest.fixture(scope='module')
def anchors(recipe):
    return SSDAnchorGenerator(**GENERATORS['ssd300_coco']).grid_anchors(recipe.SSD300_FEAT, torch.device('cpu'))


def ground_truths(data, name):
    """As a batch of one; no ground truths are one padded row."""
    boxes, labels = torch.from_numpy(data[f'gt_{name}_boxes']), torch.from_numpy(data[f'gt_{name}_labels'])
    if len(labels) == 0:
        boxes, labels = torch.zeros(1, 4), torch.tensor([-1])
    return boxes[None], labels[None]


def gt_indices(setting, anchors, boxes, labels, data):
    """(A,) in MMDetection's form: -1 ignored, 0 background, k + 1 matched to ground truth k."""
    regions = torch.from_numpy(data['ignore'])[None]  # only some settings ask for them
    found = MaxIoUAssigner(**SETTINGS[setting]).assign(anchors, boxes, labels, regions)
    indices = torch.where(found.positive, found.matched + 1, torch.where(found.negative, 0, -1))
    return indices[0].numpy()


@pytest.mark.parametrize('name', GENERATORS)
def test_every_default_box_is_bit_equal(name, stored):
    data, generator = stored('anchors.npz'), SSDAnchorGenerator(**GENERATORS[name])
    for level, base in enumerate(generator.base_anchors):
        np.testing.assert_array_equal(base.numpy(), data[f'{name}_base_{level}'])
    anchors = generator.grid_anchors(data[f'{name}_feats'].tolist(), torch.device('cpu'))
    np.testing.assert_array_equal(anchors.boxes[::97].numpy(), data[f'{name}_every97'])
    levels = anchors.boxes.split(anchors.num_level)
    assert [hashlib.sha1(level.numpy().tobytes()).hexdigest() for level in levels] == data[f'{name}_sha1'].tolist()
    centres_sizes = torch.cat([anchors.centres, anchors.sizes], dim=1)[::97].numpy()
    np.testing.assert_allclose(centres_sizes, data[f'{name}_centres_sizes_every97'], rtol=0, atol=1e-4)


@pytest.mark.parametrize('name', GENERATORS)
def test_the_boxes_inside_padded_pictures_are_the_same(name, stored):
    """Two pictures of a batch: 300 x 300 and 200 x 260. The former does not fill the maps of SSD512 and SSDLite either."""
    data = stored('anchors.npz')
    feats = data[f'{name}_feats'].tolist()
    anchors = SSDAnchorGenerator(**GENERATORS[name]).grid_anchors(feats, torch.device('cpu'))
    valid = anchors.valid_in([(300, 300, 3), (200, 260, 3)]).numpy()
    np.testing.assert_array_equal(np.packbits(valid[0]), data[f'{name}_valid_300x300'])
    np.testing.assert_array_equal(np.packbits(valid[1]), data[f'{name}_valid_200x260'])
    assert 0 < valid[1].sum() < valid[0].sum() <= valid.shape[1]


@pytest.mark.parametrize('ground_truth', ['n0', 'n1', 'n50', 'dup', 'tiny'])
@pytest.mark.parametrize('setting', SETTINGS)
def test_matches_are_equal(setting, ground_truth, anchors, stored):
    data = stored('assigner.npz')
    boxes, labels = ground_truths(data, ground_truth)
    actual = gt_indices(setting, anchors, boxes, labels, data)
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
    np.testing.assert_array_equal(gt_indices(setting, anchors, boxes, labels, data), expected)


@pytest.mark.parametrize('setting', ['all', 'ign', 'ignf'])
def test_a_ground_truth_without_overlap_does_not_claim_all_boxes_that_tie_at_zero(setting, anchors, stored):
    """MMDetection's `gt_max_assign_all` makes every box positive here that is not ignored; ours as many as without it."""
    data = stored('assigner.npz')
    boxes, labels = ground_truths(data, 'ties')
    theirs = data[f'{setting}_ties_gt_inds']
    actual = gt_indices(setting, anchors, boxes, labels, data)
    if setting == 'all':
        assert (theirs > 0).all()
    else:
        left_out = np.unpackbits(data[f'{setting}_left_out'])[:8732]
        np.testing.assert_array_equal(theirs == -1, left_out)
        assert (actual[left_out > 0] == -1).all()
    np.testing.assert_array_equal(actual, gt_indices(setting, anchors, boxes[:, :3], labels[:, :3], data))
    assert 0 < (actual > 0).sum() < 100
    np.testing.assert_array_equal(actual[(actual > 0) & (theirs != 4)], theirs[(actual > 0) & (theirs != 4)])


@pytest.mark.parametrize('ground_truth', ['n1', 'n50', 'dup', 'tiny', 'ties'])
def test_largest_overlaps_are_equal(ground_truth, anchors, stored):
    data = stored('assigner.npz')
    boxes, _ = ground_truths(data, ground_truth)
    largest = anchor_overlaps(boxes, anchors).amax(dim=1)[0].numpy()
    np.testing.assert_allclose(largest, data[f'max_overlaps_{ground_truth}'], rtol=1e-6, atol=0)


@pytest.mark.parametrize('mode', ['iou', 'iof', 'giou'])
def test_overlaps_of_two_lists_and_of_pairs_are_equal(mode, stored):
    data = stored('coder.npz')
    priors, gt = torch.from_numpy(data['priors']), torch.from_numpy(data['gt'])
    rounding = 1e-6 if mode == 'giou' else 0  # a difference of two shares
    np.testing.assert_allclose(bbox_overlaps(priors[:20], gt, mode).numpy(), data[f'ov_{mode}'], rtol=1e-6, atol=rounding)
    np.testing.assert_allclose(paired_overlaps(priors, gt, mode).numpy(), data[f'ov_al_{mode}'], rtol=1e-6, atol=rounding)


@pytest.mark.parametrize('extent, name', [(0, 'ov_iou'), (1, 'ov_np_iou_legacy')])
def test_overlaps_of_the_metrics_are_equal_with_and_without_the_extent_of_a_pixel(extent, name, stored):
    data = stored('coder.npz')
    actual = array_overlaps(data['priors'][:20], data['gt'], extent)
    np.testing.assert_allclose(actual, data[name], rtol=1e-6, atol=0)


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
    expected = data[f'dec_{stds}_clipped' if clip and shape == 'shape' else f'dec_{stds}']
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-6, atol=1e-4)


def test_boxes_decoded_with_limited_centres_are_equal(stored):
    data = stored('coder.npz')
    coder = DeltaXYWHBBoxCoder(target_stds=STDS['ssd'], add_ctr_clamp=True)
    max_shape = torch.tensor(280.), torch.tensor(300.)
    actual = coder.decode(torch.from_numpy(data['priors']), torch.from_numpy(data['deltas']), max_shape)
    np.testing.assert_allclose(actual.numpy(), data['dec_ctrclamp'], rtol=1e-6, atol=1e-4)
    assert np.abs(actual.numpy() - data['dec_ssd_clipped']).max() > 100


@pytest.mark.parametrize('name, beta', [('sl1_none_1.000', 1.0), ('sl1_none_0.111', 1 / 9), ('sl1_none_0.500', 0.5),
                                        ('l1_none', 0.0)])
def test_smooth_l1_and_l1_are_equal(name, beta, stored):
    """200 images of one positive box each; predicted offsets are compared with those of the last image first."""
    data = stored('coder.npz')
    deltas, positive = torch.from_numpy(data['deltas'])[:, None], torch.ones(200, 1, dtype=torch.bool)
    losses = multibox_loss(torch.zeros(200, 1, 2), deltas, positive.long(), deltas.flip(0), positive, ~positive, beta=beta)
    np.testing.assert_allclose(losses['loss_bbox'] * 200, data[name].sum(axis=1), rtol=1e-6, atol=1e-7)


def test_torchs_smooth_l1_weighted_and_averaged_is_mmdetections(stored):
    """Nothing here weights single offsets; a head of one's own would do it with torch's function. Weights 0, 1, 2, 0, ..."""
    data = stored('coder.npz')
    deltas, weights = torch.from_numpy(data['deltas']), (torch.arange(800) % 3).reshape(200, 4)
    average = (F.smooth_l1_loss(deltas, deltas.flip(0), reduction='none') * weights).sum() / 37
    assert average.item() == pytest.approx(float(data['sl1_w_avg']), rel=1e-6)
