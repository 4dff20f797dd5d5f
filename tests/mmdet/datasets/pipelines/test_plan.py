"""Planned and rendered once, a picture is what the plain transforms make of it step by step (eager.py)."""
from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet.core.image.pixels import finish_pixels
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Compose
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.geometric import Expand, Pad, RandomFlip, Resize
from mmdet.datasets.pipelines.photometric import Normalize, PhotoMetricDistortion
from mmdet.datasets.pipelines.plan import Plan, pixel_row, render
from mmdet.datasets.pipelines.random_crop import MinIoURandomCrop

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
NEW = ('expand', 'crop', 'resize', 'flip', 'colour', 'normalize')  # MMDetection 2.19 and later
OLD = ('colour', 'expand', 'crop', 'resize', 'normalize', 'flip')  # before
BOXES = [[20, 30, 140, 200], [150, 10, 300, 120], [200, 130, 260, 230.5]]
IGNORED = [[5, 5, 60, 50]]

PLANNED = {'expand': lambda: Expand(mean=MEAN, prob=0.7), 'always expand': lambda: Expand(mean=MEAN, prob=1.),
           'crop': MinIoURandomCrop,
           'resize': lambda: Resize((300, 300), keep_ratio=False), 'enlarge': lambda: Resize((700, 500), keep_ratio=False),
           'reduce': lambda: Resize((91, 67), keep_ratio=False),
           'flip': lambda: RandomFlip(0.5), 'turn': lambda: RandomFlip(0.7, 'diagonal'),
           'flip down': lambda: RandomFlip(1., 'vertical'),
           'colour': PhotoMetricDistortion,
           'linear colour': lambda: PhotoMetricDistortion(saturation_range=(1, 1), hue_delta=0),
           'normalize': lambda: Normalize(MEAN, STD)}


def eager_step(eager, name):
    return {'expand': lambda s, r: eager.expand(s, r, MEAN, prob=0.7),
            'always expand': lambda s, r: eager.expand(s, r, MEAN, prob=1.),
            'crop': eager.min_iou_random_crop,
            'resize': lambda s, r: eager.resize(s, r, 300, 300), 'enlarge': lambda s, r: eager.resize(s, r, 700, 500),
            'reduce': lambda s, r: eager.resize(s, r, 91, 67),
            'flip': eager.random_flip, 'turn': lambda s, r: eager.random_flip(s, r, 0.7, 'diagonal'),
            'flip down': lambda s, r: eager.random_flip(s, r, 1., 'vertical'),
            'colour': eager.photo_metric_distortion,
            'linear colour': lambda s, r: eager.photo_metric_distortion(s, r, saturation=(1, 1), hue=0),
            'normalize': lambda s, r: eager.normalize(s, r, MEAN, STD)}[name]


@pytest.fixture
def both(eager, make_sample):
    """Runs the named steps both ways on the same draws and returns (planned, eager) samples with network inputs."""
    def run(steps, picture, seed, boxes=BOXES):
        rng = np.random.default_rng(seed)
        sample = Compose([PLANNED[name]() for name in steps])(make_sample(picture, boxes, ignored=IGNORED, rng=rng))
        planned = dict(sample, is_filled=sample.plan.is_filled, img=network_input(sample))
        start = picture if 'colour' not in steps[0] else picture.astype(np.float32)  # to_float32 of the older configs
        expected = dict(img=start, gt_bboxes=np.float32(boxes).reshape(-1, 4), gt_bboxes_ignore=np.float32(IGNORED),
                        gt_labels=np.arange(len(boxes)))
        rng = np.random.default_rng(seed)
        for name in steps:
            eager_step(eager, name)(expected, rng)
        return planned, expected
    return run


def network_input(sample) -> np.ndarray:
    """(H, W, 3) float32, by way of a batch of one."""
    batch = collate([Collect(['img'])(sample)])
    return finish_pixels(batch['img'], batch['pixel_ops'])[0].permute(1, 2, 0).numpy()


def off_share(planned, expected) -> float:
    """Share of the pixels that differ by more than a level of 0..255."""
    assert planned.shape == expected.shape
    return float((np.abs(planned - expected).max(axis=2) > 1.001).mean())


def assert_same_boxes(planned, expected):
    for key in ('gt_bboxes', 'gt_bboxes_ignore', 'gt_labels'):
        np.testing.assert_array_equal(planned[key], expected[key], err_msg=key)
    assert planned['gt_bboxes'].dtype == np.float32
    assert planned['img_shape'] == planned['pad_shape'] == expected['img'].shape == planned['img'].shape
    np.testing.assert_array_equal(planned['scale_factor'], expected['scale_factor'])


@pytest.mark.parametrize('steps', [NEW, OLD], ids=['new', 'old'])
def test_boxes_labels_and_shapes_are_those_of_the_plain_steps(both, natural_picture, steps):
    picture, filled = natural_picture(1), 0
    for seed in range(40):
        planned, expected = both(steps, picture, seed)
        assert_same_boxes(planned, expected)
        filled += planned['is_filled']
    assert 10 < filled < 35  # both kinds were seen


CLEAN = [('crop', 'resize'), ('crop', 'resize', 'flip'), ('crop', 'enlarge', 'turn'), ('crop', 'reduce', 'flip down'),
         ('flip', 'crop'), ('turn', 'crop', 'flip'), ('resize', 'crop', 'flip'), ('crop', 'resize', 'crop', 'turn'),
         ('enlarge', 'reduce')]


@pytest.mark.parametrize('steps', CLEAN, ids='-'.join)
def test_without_fill_every_pixel_is_bit_equal(both, natural_picture, steps):
    for seed in range(8):
        planned, expected = both(steps, natural_picture(seed % 2), seed)
        np.testing.assert_array_equal(planned['img'], expected['img'])
        if 'resize' in steps:
            assert_same_boxes(planned, expected)


@pytest.mark.parametrize('steps', [('flip down', 'crop', 'resize'), ('turn', 'resize'), ('crop', 'turn', 'reduce')],
                         ids='-'.join)
def test_a_flip_before_scaling_moves_roundings_only(both, natural_picture, steps):
    for seed in range(6):
        planned, expected = both(steps, natural_picture(2), seed)
        difference = np.abs(planned['img'] - expected['img'])
        assert difference.max() <= 1 and difference.mean() < 0.005


FILLED = [('expand', 'crop', 'resize', 'flip'), ('always expand', 'reduce'), ('always expand', 'enlarge'),
          ('flip', 'expand', 'crop', 'resize'),
          ('always expand', 'turn', 'crop', 'resize', 'flip'), ('turn', 'always expand', 'flip down', 'crop', 'enlarge'),
          ('always expand', 'resize', 'crop', 'turn'), ('always expand', 'crop', 'resize', 'crop', 'reduce')]


@pytest.mark.parametrize('steps', FILLED, ids='-'.join)
def test_with_fill_pixels_are_within_a_level(both, natural_picture, steps):
    shares = []
    for seed in range(8):
        planned, expected = both(steps, natural_picture(seed % 3), seed)
        shares.append(off_share(planned['img'], expected['img']))
        for key in ('gt_bboxes', 'gt_bboxes_ignore', 'gt_labels'):
            np.testing.assert_array_equal(planned[key], expected[key])
    assert max(shares) <= 0.005


def test_colour_after_geometry_enlarges_a_level_to_three_at_most(both, natural_picture):
    for seed in range(24):
        planned, expected = both(NEW, natural_picture(seed % 3), seed)
        difference = np.abs(planned['img'] - expected['img']).max(axis=2) * min(STD)
        if planned['is_filled']:
            assert (difference > 3).mean() <= 0.005
        else:
            assert difference.max() < 0.01  # the same uint8 picture went into both


def test_brightness_and_contrast_may_come_before_geometry_in_the_old_order(both, natural_picture):
    """Linear in each pixel, they commute with scaling: half a level of rounding, times the contrast, is all there is."""
    steps = ('linear colour', *OLD[1:])
    for seed in range(24):
        planned, expected = both(steps, natural_picture(seed % 3), seed)
        assert off_share(planned['img'] * STD, expected['img'] * STD) <= 0.005


def test_hue_and_saturation_before_scaling_differ_a_little_from_after(both, natural_picture):
    """They are not linear, so where colours meet a resized distorted picture is not a distorted resized one."""
    for seed in range(24):
        planned, expected = both(OLD, natural_picture(seed % 3), seed)
        difference = np.abs(planned['img'] - expected['img']) * min(STD)
        assert difference.mean() < 0.5
        assert (difference.max(axis=2) > 3).mean() < 0.01


def test_in_the_old_order_the_fill_is_exact_whatever_the_colours(both, natural_picture):
    seen = 0
    for seed in range(12):
        planned, expected = both(('colour', 'always expand', 'crop', 'resize'), natural_picture(0), seed)
        fill = (expected['img'] == np.float32(MEAN[::-1])).all(axis=2)
        seen += fill.sum()
        np.testing.assert_allclose(planned['img'][fill], np.broadcast_to(np.float32(MEAN[::-1]), (fill.sum(), 3)), atol=2e-4)
    assert seen > 100_000


def test_in_the_new_order_the_fill_loses_its_fraction_and_is_distorted_with_the_picture(make_sample, natural_picture):
    sample = make_sample(natural_picture(0))
    steps = Compose([Expand(MEAN, ratio_range=(3, 3), prob=1.), Resize((200, 200), keep_ratio=False)])
    sample = steps(sample)
    corners = network_input(sample)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert sum((corner == (103, 116, 123)).all() for corner in corners) >= 3
    sample.plan.colour = (10., 0, 1., 1., 0., 0, 1, 2)
    assert network_input(sample)[0, 0] == pytest.approx((113, 126, 133), abs=1e-3)


@pytest.mark.parametrize('steps', [('always expand', 'crop', 'enlarge', 'flip'),
                                   ('colour', 'always expand', 'crop', 'resize')], ids='-'.join)
def test_a_window_wholly_beside_the_picture_shows_fill_only(eager, make_sample, scripted_draws, natural_picture, steps):
    """The picture in a corner of a canvas four times as large, and a crop of the opposite corner."""
    colour = [1, 0.9, 1, 1, 0.9, 1, 0.9, 1, 0.9, 0] if 'colour' in steps else []
    draws = [*colour, 0., 1., 0., 0., 0, 0.2, 0.2, 0., 0., *([None] if 'flip' in steps else [])]
    sample = Compose([PLANNED[name]() for name in steps])(make_sample(natural_picture(1), rng=scripted_draws(*draws)))
    empty = np.zeros((0, 4), np.float32)
    expected = dict(img=natural_picture(1), gt_bboxes=empty, gt_bboxes_ignore=empty, gt_labels=empty[:, 0])
    rng = scripted_draws(*draws)
    for name in steps:
        eager_step(eager, name)(expected, rng)
    assert not sample.rng.values and not rng.values
    assert len(np.unique(expected['img'].reshape(-1, 3), axis=0)) == 1
    np.testing.assert_allclose(network_input(sample), expected['img'], atol=2e-4)


def canvas_view(plan, brightness):
    """What a plan shows, the slow way: a float canvas as large as the picture and the window together."""
    height, width = plan.source.shape[:2]
    x0, y0 = min(plan.left, 0), min(plan.top, 0)
    x1, y1 = max(plan.left + plan.width, width), max(plan.top + plan.height, height)
    canvas = np.empty((y1 - y0, x1 - x0, 3), np.float32)
    canvas[:] = np.float32(plan.fill) + (0 if plan.fill_after_colour else brightness)
    canvas[-y0:height - y0, -x0:width - x0] = plan.source.astype(np.float32) + brightness
    view = canvas[plan.top - y0:, plan.left - x0:][:plan.height, :plan.width]
    view = cv2.resize(view, plan.size or (plan.width, plan.height), interpolation=cv2.INTER_LINEAR)
    return view[::-1 if plan.flip_y else 1, ::-1 if plan.flip_x else 1]


@settings(max_examples=150, deadline=None)
@given(left=st.integers(-90, 70), top=st.integers(-70, 50), width=st.integers(1, 150), height=st.integers(1, 130),
       size=st.none() | st.tuples(st.integers(1, 120), st.integers(1, 120)), flip_x=st.booleans(), flip_y=st.booleans(),
       after=st.booleans())
def test_any_window_shows_what_a_canvas_would(natural_picture, left, top, width, height, size, flip_x, flip_y, after):
    plan = Plan(natural_picture(3, 48, 64), left, top, width, height, size, flip_x, flip_y, fill=(100., 110., 120.),
                fill_after_colour=after, colour=(20., 0, 1., 1., 0., 0, 1, 2))
    batch = collate([{'img': render(plan), 'pixel_row': pixel_row(plan), 'img_metas': {}}])
    shown = finish_pixels(batch['img'], batch['pixel_ops'])[0].permute(1, 2, 0).numpy()
    difference = np.abs(shown - canvas_view(plan, 20.)).max(axis=2)
    assert (difference > 1.5).mean() <= 0.005  # a level of the warp, half of rounding
    assert difference.max() < 6  # no line of wrong pixels along an edge either


@pytest.mark.parametrize('start', [-40, 64], ids=['left', 'right'])
@pytest.mark.parametrize('after', [False, True])
def test_a_window_that_ends_where_the_picture_begins_shows_nothing_of_it(natural_picture, start, after):
    plan = Plan(natural_picture(3, 48, 64), start, 0, 40, 48, (400, 480), fill=(100., 110., 120.), fill_after_colour=after,
                colour=(20., 0, 1., 1., 0., 0, 1, 2))
    batch = collate([{'img': render(plan), 'pixel_row': pixel_row(plan), 'img_metas': {}}])
    shown = finish_pixels(batch['img'], batch['pixel_ops'])[0].permute(1, 2, 0).numpy()
    expected = np.float32([100, 110, 120]) + (0 if after else 20)
    np.testing.assert_allclose(shown, np.broadcast_to(expected, shown.shape), atol=1e-3)


def test_what_a_crop_cut_off_does_not_come_back_when_the_canvas_grows(make_sample, scripted_draws, natural_picture):
    """Crop before Expand: beyond the crop there is fill, not the rest of the picture."""
    picture = natural_picture(0, 60, 80)
    rng = scripted_draws(0, 0.5, 0.5, 0.5, 0.5, *(0., 1., 0.5, 0.5))
    sample = MinIoURandomCrop()(make_sample(picture, rng=rng))
    cropped = render(sample.plan)
    sample = Expand((1, 2, 3), to_rgb=False, ratio_range=(1, 2), prob=1.)(sample)
    shown = render(sample.plan)
    assert shown.shape[0] == 2 * cropped.shape[0] and shown.shape[1] == 2 * cropped.shape[1]
    inside = np.zeros(shown.shape[:2], bool)
    top, left = int(0.5 * cropped.shape[0]), int(0.5 * cropped.shape[1])
    inside[top:top + cropped.shape[0], left:left + cropped.shape[1]] = True
    np.testing.assert_array_equal(shown[inside], cropped.reshape(-1, 3))
    np.testing.assert_array_equal(shown[~inside], np.broadcast_to(np.uint8([1, 2, 3]), ((~inside).sum(), 3)))


def test_a_crop_of_nothing_but_fill_may_be_expanded_again(make_sample, natural_picture):
    plan = make_sample(natural_picture(0, 60, 80)).plan
    plan.fill, plan.fill_after_colour = (1., 2., 3.), True
    plan.move_window(-100, -100, 300, 300)
    plan.move_window(0, 0, 50, 50)
    plan.move_window(-20, -30, 400, 500)
    plan.size = (800, 700)
    shown = Plan(plan.settled().source).source
    np.testing.assert_array_equal(shown, np.broadcast_to(np.float32([1, 2, 3]), (700, 800, 3)))


class Darken:
    """A transform as users of MMDetection write them."""

    def __call__(self, results):
        for key in results.get('img_fields', ['img']):
            img = results[key]
            assert img.shape == results['img_shape']
            results[key] = (img * 0.5).astype(img.dtype)
        return results


@pytest.mark.parametrize('place', range(6))
def test_a_users_transform_may_read_and_write_the_picture_anywhere(eager, make_sample, natural_picture, place):
    def darken(sample, rng):
        sample['img'] = (sample['img'] * 0.5).astype(sample['img'].dtype)

    class Shape:  # Expand leaves img_shape as it is, in MMDetection too
        def __call__(self, results):
            results.set_shape(results.plan.shape)
            return results

    names = ['always expand', 'crop', 'resize', 'flip', 'linear colour']
    for seed in range(4):
        picture = natural_picture(seed)
        planned = [PLANNED[name]() for name in names]
        planned[place:place] = [Shape(), Darken()]
        sample = Compose(planned)(make_sample(picture, BOXES, rng=np.random.default_rng(seed)))
        steps = [eager_step(eager, name) for name in names]
        steps.insert(place, darken)
        expected, rng = dict(img=picture, gt_bboxes=np.float32(BOXES), gt_bboxes_ignore=np.zeros((0, 4), np.float32),
                             gt_labels=np.arange(3)), np.random.default_rng(seed)
        for step in steps:
            step(expected, rng)
        difference = np.abs(network_input(sample) - expected['img'].astype(np.float32))
        assert (difference.max(axis=2) > 2.01).mean() <= 0.005  # a level, times a contrast of 1.5, and a rounding
        np.testing.assert_array_equal(sample['gt_bboxes'], expected['gt_bboxes'])


def test_reading_the_picture_shows_what_was_planned_so_far(make_sample, natural_picture):
    picture = natural_picture(0)
    sample = Resize((30, 20), keep_ratio=False)(make_sample(picture))
    np.testing.assert_array_equal(sample['img'], cv2.resize(picture, (30, 20), interpolation=cv2.INTER_LINEAR))
    sample = Normalize(MEAN, STD)(sample)
    by_hand = (cv2.resize(picture, (30, 20))[..., ::-1] - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(sample['img'], by_hand, atol=1e-5)
    np.testing.assert_allclose(network_input(sample), by_hand, atol=1e-5)  # and is not done twice


def test_a_canvas_is_never_allocated(make_sample, scripted_draws):
    """Four times the sides would be sixteen times the picture."""
    picture = np.zeros((600, 800, 3), np.uint8)
    sample = make_sample(picture, rng=scripted_draws(0., 1., 0.5, 0.5))
    steps = Compose([Expand(MEAN, prob=1.), Resize((300, 300), keep_ratio=False), Collect(['img'])])
    tracemalloc.start()
    try:
        item = steps(sample)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert item['img'].shape == (300, 300, 3)
    # cv2's arrays are numpy's and counted: the picture with a pixel of border, the output, and the odd small thing
    assert peak < 602 * 802 * 3 + 2 * 300 * 300 * 3 + 50_000


def test_expand_itself_allocates_nothing_of_a_pictures_size(make_sample, scripted_draws):
    sample = make_sample(np.zeros((600, 800, 3), np.uint8), rng=scripted_draws(0., 1., 0.5, 0.5))
    source = sample.plan.source
    tracemalloc.start()
    try:
        sample = Expand(MEAN, prob=1.)(sample)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000
    assert np.shares_memory(sample.plan.source, source)
    assert (sample.plan.left, sample.plan.top, sample.plan.width, sample.plan.height) == (-1200, -900, 3200, 2400)


def test_a_plan_without_steps_is_the_picture(natural_picture):
    picture = natural_picture(0)
    np.testing.assert_array_equal(render(Plan(picture)), picture)
    np.testing.assert_array_equal(Plan(picture).settled().source, picture)


def test_padding_is_zero_after_normalisation(make_sample, natural_picture):
    picture = natural_picture(0, 60, 90)
    sample = Compose([Normalize(MEAN, STD), Pad(size_divisor=32)])(make_sample(picture))
    assert sample['pad_shape'] == (64, 96, 3) and sample['img_shape'] == (60, 90, 3)
    shown = network_input(sample)
    np.testing.assert_allclose(shown[:60, :90], (picture[..., ::-1] - np.float32(MEAN)) / np.float32(STD), atol=1e-5)
    assert shown.shape == (64, 96, 3) and not shown[60:].any() and not shown[:, 90:].any()


def test_whole_pipelines_agree_with_mmdetection(golden, painted_picture, legacy_draws, make_sample):
    """Boxes exactly; the pixels of its noisy picture, of which every 15th is kept, to a level times the contrast."""
    data, picture = golden('ssd300_pipelines.npz'), painted_picture(70, 240, 320)
    mean, keep = Normalize(MEAN, (1, 1, 1)), Collect(['img'])
    for seed in range(8):
        steps = Compose([Expand(MEAN), MinIoURandomCrop(), PLANNED['resize'](), RandomFlip(0.5), PhotoMetricDistortion(), mean])
        sample = steps(make_sample(picture, data['gt_bboxes'], data['gt_labels'], rng=legacy_draws(seed)))
        np.testing.assert_array_equal(sample['gt_bboxes'], data[f's{seed}_gt_bboxes'])
        np.testing.assert_array_equal(sample['gt_labels'], data[f's{seed}_gt_labels'])
        np.testing.assert_array_equal(sample['scale_factor'], data[f's{seed}_scale_factor'])
        assert sample['flip'] == bool(data[f's{seed}_flip'])
        difference = np.abs(network_input(sample)[::15, ::15] - data[f's{seed}_img'].transpose(1, 2, 0))
        assert difference.mean() < 0.2 and (difference > 4).mean() < 0.005
    sample = Compose([PLANNED['resize'](), mean, keep])(make_sample(picture))
    batch = collate([sample])
    shown = finish_pixels(batch['img'], batch['pixel_ops'])[0].numpy()[:, ::15, ::15]
    np.testing.assert_allclose(shown, data['test_img'], atol=1.001)
    assert (np.abs(shown - data['test_img']) > 1e-3).mean() < 0.01
