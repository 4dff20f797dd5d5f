"""Matching, sampling and suppression of one picture, as components in MMDetection's manner call them."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdet.core import (
    DeltaXYWHBBoxCoder,
    MaxIoUAssigner,
    PseudoSampler,
    SSDAnchorGenerator,
    bbox2result,
    bbox_overlaps,
    build_anchor_generator,
    build_assigner,
    build_bbox_coder,
    build_sampler,
    images_to_levels,
    multi_apply,
    multiclass_nms,
    unmap,
)

ASSIGNER = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0., gt_max_assign_all=False)


def boxes(count, seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, (count, 2))
    return torch.from_numpy(np.concatenate([low, low + rng.uniform(5, 40, (count, 2))], axis=1)).float()


def by_loop(anchors, gt_bboxes):
    """The rule, box by box: background below 0.5, the best ground truth from there on; then each claims its best box."""
    overlaps = bbox_overlaps(gt_bboxes, anchors)
    found = [int(column.argmax()) + 1 if column.max() >= 0.5 else 0 for column in overlaps.T]
    for g, row in enumerate(overlaps):
        if row.max() > 0:
            found[int(row.argmax())] = g + 1
    return found


@pytest.mark.parametrize('seed', range(6))
def test_one_picture_is_matched_as_the_rule_says(seed):
    anchors, truths = boxes(80, seed), boxes(1 + seed, seed + 100)
    labels = torch.arange(len(truths)) * 2
    found = build_assigner(ASSIGNER).assign(anchors, truths, None, labels)
    expected = by_loop(anchors, truths)
    assert found.gt_inds.tolist() == expected and found.num_gts == len(truths)
    assert found.labels.tolist() == [2 * (g - 1) if g > 0 else -1 for g in expected]
    torch.testing.assert_close(found.max_overlaps, bbox_overlaps(truths, anchors).max(dim=0).values)


def test_arguments_may_come_by_place_or_by_name_and_some_may_be_missing():
    assigner, anchors, truths = build_assigner(ASSIGNER), boxes(40, 1), boxes(3, 2)
    labels, regions = torch.tensor([4, 5, 6]), boxes(2, 3)
    expected = assigner.assign(anchors, truths, regions, labels)
    for found in (assigner.assign(anchors, truths, gt_labels=labels, gt_bboxes_ignore=regions),
                  assigner.assign(anchors, truths, None, labels), assigner.assign(anchors, truths, gt_labels=labels),
                  assigner.assign(anchors, truths, torch.zeros(0, 4), labels)):
        assert torch.equal(found.gt_inds, expected.gt_inds) and torch.equal(found.labels, expected.labels)
    assert assigner.assign(anchors, truths).labels is None


def test_boxes_in_ignored_regions_take_no_part_where_the_assigner_asks():
    assigner = build_assigner(ASSIGNER, ignore_iof_thr=0.5)
    anchors, truths = torch.tensor([[0., 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]]), torch.tensor([[0., 0, 10, 10]])
    found = assigner.assign(anchors, truths, torch.tensor([[45., 45, 65, 65]]), torch.tensor([3]))
    assert found.gt_inds.tolist() == [1, -1, 0]
    assert assigner.assign(anchors, truths, torch.zeros(0, 4), torch.tensor([3])).gt_inds.tolist() == [1, 0, 0]


def test_a_picture_without_objects_is_background():
    found = build_assigner(ASSIGNER).assign(boxes(20, 0), torch.zeros(0, 4), None, torch.zeros(0, dtype=torch.int64))
    assert found.gt_inds.tolist() == [0] * 20 and found.num_gts == 0
    taken = build_sampler(dict(type='PseudoSampler'), context=None).sample(found, boxes(20, 0), torch.zeros(0, 4))
    assert len(taken.pos_inds) == 0 and taken.pos_gt_bboxes.shape == (0, 4) and len(taken.neg_inds) == 20


def test_the_sampler_takes_all_that_takes_part():
    anchors, truths, labels = boxes(60, 4), boxes(3, 5), torch.tensor([7, 8, 9])
    found = build_assigner(ASSIGNER).assign(anchors, truths, None, labels)
    taken = PseudoSampler().sample(found, anchors, truths)
    for place, index in enumerate(taken.pos_inds.tolist()):
        g = found.gt_inds[index].item() - 1
        assert taken.pos_assigned_gt_inds[place] == g and taken.pos_gt_labels[place] == labels[g]
        assert torch.equal(taken.pos_gt_bboxes[place], truths[g]) and torch.equal(taken.pos_bboxes[place], anchors[index])
    assert sorted([*taken.pos_inds.tolist(), *taken.neg_inds.tolist()]) == list(range(60))


def test_build_functions_return_what_they_are_given():
    generator = SSDAnchorGenerator(strides=[8, 16], ratios=[[2], [2]], min_sizes=[10, 20], max_sizes=[20, 30])
    coder, assigner = DeltaXYWHBBoxCoder(), MaxIoUAssigner(0.5, 0.5)
    assert build_anchor_generator(generator) is generator
    assert build_bbox_coder(coder) is coder and build_assigner(assigner) is assigner


def test_boxes_of_each_level_and_which_are_valid():
    generator = SSDAnchorGenerator(strides=[8, 16], ratios=[[2], [2]], min_sizes=[10, 20], max_sizes=[20, 30])
    maps = [(4, 3), (2, 2)]
    levels = generator.grid_priors(maps, device='cpu')
    assert [len(level) for level in levels] == [4 * 3 * 4, 2 * 2 * 4] and generator.num_base_priors == [4, 4]
    assert torch.equal(torch.cat(levels), generator.grid_anchors(maps, torch.device('cpu')).boxes)
    assert all(flags.all() for flags in generator.valid_flags(maps, (32, 32, 3)))
    first, second = generator.valid_flags(maps, (16, 32, 3))  # two of four rows begin inside, then one of two
    assert first.reshape(4, 12).all(dim=1).tolist() == [True, True, False, False]
    assert second.reshape(2, 8).all(dim=1).tolist() == [True, False]


def test_decoded_boxes_are_clipped_to_a_shape_with_channels():
    coder, one = DeltaXYWHBBoxCoder(), torch.tensor([[10., 10, 200, 90]])
    assert coder.decode(one, torch.zeros(1, 4), max_shape=(50, 100, 3)).tolist() == [[10, 10, 100, 50]]


def test_suppression_is_class_by_class_best_first_and_limited():
    candidates = torch.tensor([[0., 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [0, 0, 10, 10]])
    scores = torch.tensor([[0.9, 0.1, 0.], [0.8, 0.7, 0.], [0.3, 0.2, 0.], [0.01, 0.6, 0.]])
    found, labels = multiclass_nms(candidates, scores, 0.05, dict(type='nms', iou_threshold=0.5), 3)
    assert labels.tolist() == [0, 1, 0] and found[:, 4].tolist() == pytest.approx([0.9, 0.7, 0.3])
    assert found[1, :4].tolist() == [1, 1, 11, 11]
    own = candidates[:, None].expand(-1, 2, -1).reshape(4, 8)
    assert torch.equal(multiclass_nms(own, scores, 0.05, dict(iou_threshold=0.5), 3)[0], found)
    nothing = multiclass_nms(candidates, scores, 0.99, dict(iou_threshold=0.5))
    assert nothing[0].shape == (0, 5) and nothing[1].shape == (0,)


def test_lists_are_turned_as_in_a_literal_table():
    assert multi_apply(lambda a, b, c=0: (a + b, a * c), [1, 2], [10, 20], c=3) == ([11, 22], [3, 6])
    assert unmap(torch.tensor([5., 6]), 4, torch.tensor([0, 1, 0, 1]), fill=-1).tolist() == [-1, 5, -1, 6]
    levels = images_to_levels([torch.arange(5), torch.arange(5) + 10], [3, 2])
    assert [level.tolist() for level in levels] == [[[0, 1, 2], [10, 11, 12]], [[3, 4], [13, 14]]]
    rows = bbox2result(torch.tensor([[1., 2, 3, 4, 0.5]]), torch.tensor([1]), 3)
    assert [len(part) for part in rows] == [0, 1, 0] and rows[1].tolist() == [[1, 2, 3, 4, 0.5]]
