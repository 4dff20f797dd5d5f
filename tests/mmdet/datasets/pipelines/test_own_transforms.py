"""Transforms of somebody's own: what they may do with the `results` that they are given, and where their numbers come from."""
from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch

from mmdet.datasets.pipelines import Compose, Sample
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.geometric import RandomFlip, Resize
from mmdet.datasets.pipelines.photometric import Normalize
from mmdet.datasets.pipelines.plan import pixel_row, render

BOXES = [[10, 10, 40, 50], [20, 5, 60, 30]]
STEPS = [Resize((40, 30), keep_ratio=False), RandomFlip(1.), Normalize([1., 2., 3.], [4., 5., 6.])]


def invert(results):
    results['img'] = 255 - results['img']
    return results


def by_copy(results):
    return invert(results.copy())


def by_copy_module(results):
    return invert(copy.copy(results))


def by_deep_copy(results):
    return invert(copy.deepcopy(results))


def by_dict(results):
    return invert(dict(results))


def by_spread(results):
    return {**results, 'img': 255 - results['img']}


def by_items(results):
    return {key: 255 - value if key == 'img' else value for key, value in results.items()}


class Call:
    def __init__(self, function):
        self.function = function

    def __call__(self, results):
        return self.function(results)


@pytest.fixture
def through(make_sample, natural_picture):
    """through(steps) -> what Collect makes of a picture."""
    def run(steps, seed=0):
        sample = make_sample(natural_picture(0, 60, 80), BOXES, rng=np.random.default_rng(seed))
        return Compose([*steps, Collect(['img', 'gt_bboxes', 'gt_labels'])])(sample)
    return run


@pytest.mark.parametrize('way', [by_copy, by_copy_module, by_deep_copy, by_dict, by_spread, by_items])
@pytest.mark.parametrize('place', range(4))
def test_however_a_transform_gives_the_results_on_the_picture_is_the_same(through, way, place):
    expected = through([*STEPS[:place], Call(invert), *STEPS[place:]])
    found = through([*STEPS[:place], Call(way), *STEPS[place:]])
    for key in ('img', 'pixel_row', 'gt_bboxes', 'gt_labels'):
        np.testing.assert_array_equal(found[key], expected[key])


def test_a_dict_of_the_boxes_alone_leaves_the_picture_as_it_was_planned(through):
    def move(results):
        kept = {key: results[key] for key in ('img_shape', 'bbox_fields', 'gt_labels', 'gt_bboxes_ignore')}
        return dict(kept, gt_bboxes=results['gt_bboxes'] + 1)

    move_only = through([*STEPS[:2], Call(move), STEPS[2]])
    plain = through(STEPS)
    np.testing.assert_array_equal(move_only['img'], plain['img'])
    np.testing.assert_array_equal(move_only['pixel_row'], plain['pixel_row'])
    np.testing.assert_array_equal(move_only['gt_bboxes'], plain['gt_bboxes'] + 1)


def test_a_copy_and_its_original_do_not_see_each_others_edits(make_sample, natural_picture):
    sample = make_sample(natural_picture(0, 60, 80), BOXES)
    other = sample.copy()
    other = RandomFlip(1.)(Resize((40, 30), keep_ratio=False)(other))
    assert render(sample.plan).shape == (60, 80, 3) and render(other.plan).shape == (30, 40, 3)
    np.testing.assert_array_equal(render(sample.plan), natural_picture(0, 60, 80))


def test_a_copy_renders_nothing(make_sample, natural_picture):
    sample = Resize((40, 30), keep_ratio=False)(make_sample(natural_picture(0, 60, 80), BOXES))
    assert sample.copy().plan.source is sample.plan.source


def test_a_transform_that_drops_a_sample_ends_its_way(through):
    assert through([STEPS[0], Call(lambda results: None), STEPS[1]]) is None


def test_what_a_transform_draws_from_global_generators_follows_from_the_sample_alone(through):
    drawn = []

    def draw(results):
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
        return results

    for state in (1, 2):
        random.seed(state), np.random.seed(state), torch.manual_seed(state)
        for seed in (5, 6):
            through([Call(draw), STEPS[0], Call(draw)], seed)
    first, second = drawn[:4], drawn[4:]
    assert first == second and len(set(first)) == 4


def test_what_others_draw_is_not_disturbed(through):
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    through([Call(lambda results: (np.random.seed(9), results)[1]), *STEPS])
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_our_own_transforms_draw_the_same_with_and_without_one_of_somebodys_own(through):
    steps = [RandomFlip(0.5), Resize([(40, 30), (80, 60)], multiscale_mode='value', keep_ratio=False)]
    for seed in range(8):
        with_own, without = through([Call(lambda results: results), *steps], seed), through(steps, seed)
        np.testing.assert_array_equal(with_own['img'], without['img'])


def test_a_plan_that_was_read_but_not_changed_is_rendered_to_the_same_picture(make_sample, natural_picture):
    sample = Resize((40, 30), keep_ratio=False)(make_sample(natural_picture(0, 60, 80), BOXES))
    expected, row = render(sample.plan), pixel_row(sample.plan)
    assert isinstance(sample, Sample) and 'img' in dict(sample)
    np.testing.assert_array_equal(render(sample.plan), expected)
    np.testing.assert_array_equal(pixel_row(sample.plan), row)
