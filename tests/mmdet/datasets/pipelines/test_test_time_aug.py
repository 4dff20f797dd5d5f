"""The views of a test picture."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmcv_need.errors import ConfigError, DataError
from mmcv_need.registry import build
from mmdet.datasets import PIPELINES
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Sample
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.geometric import RandomFlip, Resize
from mmdet.datasets.pipelines.loading import LoadImageFromFile
from mmdet.datasets.pipelines.test_time_aug import MultiScaleFlipAug

DIRECTIONS = ['horizontal', 'vertical', 'diagonal']
FLIPPED = {None: (), 'horizontal': 1, 'vertical': 0, 'diagonal': (0, 1)}


@pytest.fixture
def load():
    """A sample of an array as LoadImageFromFile leaves it."""
    def make(picture, seed=0):
        sample = Sample(img_info={'filename': 'picture.jpg', 'array': picture}, rng=np.random.default_rng(seed))
        return LoadImageFromFile()(sample)
    return make


def steps(keep_ratio=False):
    return [Resize(keep_ratio=keep_ratio), RandomFlip(), Collect(['img'])]


def test_views_are_scales_by_directions_and_each_shows_the_picture_scaled_then_mirrored(load, natural_picture):
    picture = natural_picture(0, 60, 80)
    views = MultiScaleFlipAug(steps(), [(40, 30), (90, 50)], flip=True, flip_direction=DIRECTIONS)(load(picture))
    expected = [(scale, direction) for scale in ((40, 30), (90, 50)) for direction in (None, *DIRECTIONS)]
    assert len(views) == len(expected)
    for view, (scale, direction) in zip(views, expected):
        np.testing.assert_array_equal(view['img'], np.flip(cv2.resize(picture, scale), FLIPPED[direction]))
        metas = view['img_metas']
        assert (metas['flip'], metas['flip_direction']) == (direction is not None, direction)
        assert metas['img_shape'] == (scale[1], scale[0], 3) and metas['ori_shape'] == (60, 80, 3)
        assert metas['scale_factor'].tolist() == pytest.approx([scale[0] / 80, scale[1] / 60] * 2)


def test_a_scale_factor_scales_the_pictures_own_sides(load, natural_picture):
    views = MultiScaleFlipAug(steps(), scale_factor=[0.5, 1, 1.26])(load(natural_picture(0, 61, 83)))
    assert [view['img'].shape for view in views] == [(30, 41, 3), (61, 83, 3), (76, 104, 3)]
    one = MultiScaleFlipAug(steps(keep_ratio=True), scale_factor=2.)(load(natural_picture(0, 61, 83)))
    assert one['img'].shape == (122, 166, 3)


def test_one_view_is_a_sample_like_any_other_and_is_not_mirrored(load, natural_picture):
    picture = natural_picture(0, 60, 80)
    always = [Resize(keep_ratio=False), RandomFlip(1.), Collect(['img'])]
    for options in ({}, {'flip_direction': 'vertical'}):
        view = MultiScaleFlipAug(always, (40, 30), **options)(load(picture))
        assert isinstance(view, dict) and view['img_metas']['flip'] is False
        np.testing.assert_array_equal(view['img'], cv2.resize(picture, (40, 30)))


def test_views_do_not_change_each_other_where_a_transform_paints_the_picture(load, natural_picture):
    """A transform in MMDetection's style replaces `img`; the next view starts from the picture again."""
    def brighten(sample):
        sample['img'] = sample['img'] + np.uint8(1)
        return sample

    picture = natural_picture(0, 60, 80) // 2
    transform = MultiScaleFlipAug([brighten, *steps()], (80, 60), flip=True)
    for direction, view in zip((None, 'horizontal'), transform(load(picture))):
        np.testing.assert_array_equal(view['img'], np.flip(picture + 1, FLIPPED[direction]))
    sample = load(picture)
    sample['img'] = picture + np.uint8(7)  # painted before, too
    for direction, view in zip((None, 'horizontal'), transform(sample)):
        np.testing.assert_array_equal(view['img'], np.flip(picture + 8, FLIPPED[direction]))


def test_a_sample_that_a_transform_gives_up_is_given_up(load, natural_picture):
    assert MultiScaleFlipAug([*steps(), lambda item: None], (80, 60), flip=True)(load(natural_picture(0, 60, 80))) is None


def test_a_batch_of_views_has_a_batch_for_each_view_padded_to_its_largest_picture(load, natural_picture):
    pictures = [natural_picture(0, 60, 80), natural_picture(1, 80, 50), natural_picture(2, 30, 40)]
    transform = MultiScaleFlipAug(steps(keep_ratio=True), scale_factor=[1., 0.5], flip=True)
    items = [transform(load(picture)) for picture in pictures]
    batches = collate(items)
    assert [tuple(batch['img'].shape) for batch in batches] == [(3, 3, 80, 80)] * 2 + [(3, 3, 40, 40)] * 2
    for v, batch in enumerate(batches):
        assert set(batch) == {'img', 'pixel_ops', 'img_metas'} and batch['pixel_ops'].padded
        for i, item in enumerate(items):
            assert batch['img_metas'][i] is item[v]['img_metas']
            shown, (height, width) = batch['img'][i].permute(1, 2, 0).numpy(), item[v]['img'].shape[:2]
            np.testing.assert_array_equal(shown[:height, :width], item[v]['img'])
            assert shown.sum() == item[v]['img'].sum()


def test_an_error_among_views_takes_the_place_of_the_batch(load, natural_picture):
    error = DataError('x')
    views = MultiScaleFlipAug(steps(), (40, 30), flip=True)(load(natural_picture(0, 60, 80)))
    assert collate([views, error]) is error and collate([error, views]) is error


def test_a_config_of_mmdetection_builds_it(load, natural_picture):
    transform = build(dict(
        type='MultiScaleFlipAug', img_scale=[(40, 30), (80, 60)], flip=True, flip_direction=['horizontal', 'vertical'],
        transforms=[dict(type='Resize', keep_ratio=False), dict(type='RandomFlip'),
                    dict(type='Normalize', mean=[1, 2, 3], std=[1, 1, 1], to_rgb=True), dict(type='Pad', size_divisor=32),
                    dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])]), PIPELINES)
    views = transform(load(natural_picture(0, 60, 80)))
    assert [view['img'].shape[:2] for view in views] == [(32, 64)] * 3 + [(64, 96)] * 3


@pytest.mark.parametrize('options, words', [
    ({}, 'either img_scale or scale_factor'), ({'img_scale': (3, 3), 'scale_factor': 1.}, 'either img_scale or scale_factor'),
    ({'scale_factor': 0}, 'scale_factor 0: expected a number above 0'), ({'scale_factor': []}, 'scale_factor'),
    ({'scale_factor': [1., '2']}, 'scale_factor'), ({'scale_factor': True}, 'scale_factor'),
    ({'img_scale': 300}, 'img_scale 300'), ({'img_scale': []}, 'img_scale'),
    ({'img_scale': (3, 3), 'flip': True, 'flip_direction': 'sideways'}, "direction 'sideways': expected one of horizontal"),
    ({'img_scale': (3, 3), 'flip': True, 'flip_direction': []}, 'direction'),
    ({'img_scale': (3, 3), 'flip': True, 'transforms': [Resize(), Collect(['img'])]},
     r"flip=True: expected one dict\(type='RandomFlip'\) among the transforms"),
    ({'img_scale': (3, 3), 'flip': True, 'transforms': [RandomFlip()] * 2}, r"expected one dict\(type='RandomFlip'\)"),
    ({'img_scale': [(3, 3), (4, 4)], 'transforms': [Collect(['img'])]}, r"several scales: expected one dict\(type='Resize'\)"),
    ({'scale_factor': 2., 'transforms': [Collect(['img'])]}, r"scale_factor: expected one dict\(type='Resize'\)"),
    ({'img_scale': (3, 3), 'flip': True, 'transforms': [RandomFlip(), Collect(['img'], meta_keys=('img_shape', 'flip'))]},
     'several views need scale_factor, flip_direction among the meta_keys')])
def test_what_cannot_be_meant_is_one_line_when_it_is_built(options, words):
    with pytest.raises(ConfigError, match=words) as error:
        MultiScaleFlipAug(**{'transforms': steps(), **options})
    assert '\n' not in str(error.value)
