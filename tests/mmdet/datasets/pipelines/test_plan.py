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


@pytest.fixture(autouse=True)
def all_modes_are_tried(monkeypatch):
    """As by the plain steps; we skip a mode that no crop can satisfy, with its draws."""
    monkeypatch.setattr(MinIoURandomCrop, '_reachable_overlap', lambda *_: np.inf)


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
    item = Collect(['img'])(sample)
    batch = collate([item])
    shown = finish_pixels(batch['img'], batch['pixel_ops'])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(collate([item], finish=True)['img'][0].permute(1, 2, 0), shown, rtol=1e-6, atol=2e-3)
    return shown


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


EXACT = [('crop', 'resize'), ('crop', 'resize', 'flip'), ('crop', 'enlarge', 'turn'), ('crop', 'reduce', 'flip down'),
         ('flip', 'crop'), ('turn', 'crop', 'flip'), ('resize', 'crop', 'flip'), ('crop', 'resize', 'crop', 'turn'),
         ('enlarge', 'reduce'), ('expand', 'crop', 'resize', 'flip'), ('always expand', 'reduce'), ('always expand', 'enlarge'),
         ('turn', 'always expand', 'crop'), ('always expand', 'resize', 'crop', 'turn'),
         ('always expand', 'crop', 'resize', 'crop', 'reduce'), ('crop', 'always expand', 'crop', 'always expand', 'resize')]


@pytest.mark.parametrize('steps', EXACT, ids='-'.join)
def test_before_colours_every_pixel_is_bit_equal(both, natural_picture, steps):
    for seed in range(8):
        planned, expected = both(steps, natural_picture(seed % 3), seed)
        np.testing.assert_array_equal(planned['img'], expected['img'])
        if 'resize' in steps:
            assert_same_boxes(planned, expected)


@pytest.mark.parametrize('steps', [('flip down', 'crop', 'resize'), ('turn', 'resize'), ('crop', 'turn', 'reduce'),
                                   ('flip', 'expand', 'crop', 'resize'), ('always expand', 'turn', 'crop', 'resize', 'flip'),
                                   ('turn', 'always expand', 'flip down', 'crop', 'enlarge')], ids='-'.join)
def test_a_flip_before_scaling_moves_roundings_only(both, natural_picture, steps):
    for seed in range(6):
        planned, expected = both(steps, natural_picture(2), seed)
        difference = np.abs(planned['img'] - expected['img'])
        assert difference.max() <= 1 and difference.mean() < 0.005


def test_in_the_new_order_network_inputs_are_equal_within_float_rounding(both, natural_picture):
    filled = 0
    for seed in range(24):
        planned, expected = both(NEW, natural_picture(seed % 3), seed)
        np.testing.assert_allclose(planned['img'] * STD, expected['img'] * STD, rtol=0, atol=1e-3)
        filled += planned['is_filled']
    assert 5 < filled < 20  # both kinds were seen


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
    draws = [*colour, 0., 1., 0., 0., 6, 0.2, 0.2, 0., 0., *([0.9] if 'flip' in steps else [])]
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
    """What a plan shows, the slow way: a canvas as large as the picture and the window together.

    The canvas is of bytes where the colours come later, and else of floats.
    """
    height, width = plan.source.shape[:2]
    x0, y0 = min(plan.left, 0), min(plan.top, 0)
    x1, y1 = max(plan.left + plan.width, width), max(plan.top + plan.height, height)
    canvas = np.empty((y1 - y0, x1 - x0, 3), np.float32 if plan.fill_after_colour else np.uint8)
    canvas[:] = plan.fill
    canvas[-y0:height - y0, -x0:width - x0] = plan.source + np.float32(brightness) if plan.fill_after_colour else plan.source
    view = canvas[plan.top - y0:, plan.left - x0:][:plan.height, :plan.width]
    view = cv2.resize(view, plan.size or (plan.width, plan.height), interpolation=cv2.INTER_LINEAR)
    view = view[::-1 if plan.flip_y else 1, ::-1 if plan.flip_x else 1]
    return view if plan.fill_after_colour else view + np.float32(brightness)


@settings(max_examples=150, deadline=None)
@given(left=st.integers(-90, 70), top=st.integers(-70, 50), width=st.integers(1, 150), height=st.integers(1, 130),
       size=st.none() | st.tuples(st.integers(1, 120), st.integers(1, 120)), flip_x=st.booleans(), flip_y=st.booleans(),
       after=st.booleans())
def test_any_window_shows_what_a_canvas_would(natural_picture, left, top, width, height, size, flip_x, flip_y, after):
    plan = Plan(natural_picture(3, 48, 64), left, top, width, height, size, flip_x, flip_y, fill=(100., 110., 120.),
                fill_after_colour=after, colour=(20., 0, 1., 1., 0., 0, 1, 2))
    batch = collate([{'img': render(plan), 'pixel_row': pixel_row(plan), 'img_metas': {}}])
    shown = finish_pixels(batch['img'], batch['pixel_ops'])[0].permute(1, 2, 0).numpy()
    rounding = 0.8 if after and plan.is_scaled else 1e-3  # to whole levels, and to OpenCV's 11 bits of weights
    np.testing.assert_allclose(shown, canvas_view(plan, 20.), rtol=0, atol=rounding)


@pytest.mark.parametrize('shape, flip', [((5, 1), 'flip_x'), ((1, 5), 'flip_y'), ((1, 1), 'flip_x')])
def test_a_mirrored_line_of_pixels_can_be_settled(shape, flip):
    """numpy calls a side of one pixel contiguous even if it is reversed; torch does not take it."""
    plan = Plan(np.arange(3 * shape[0] * shape[1], dtype=np.uint8).reshape(*shape, 3), **{flip: True}, mean=(1., 1., 1.))
    np.testing.assert_array_equal(plan.settled().source, plan.source.astype(np.float32) - 1)


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
    rng = scripted_draws(6, 0.5, 0.5, 0.5, 0.5, *(0., 1., 0.5, 0.5))
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


def test_what_comes_after_padding_takes_it_for_a_part_of_the_picture(make_sample, natural_picture):
    picture = natural_picture(0, 60, 90)
    padded = np.zeros((64, 96, 3), np.uint8)
    padded[:60, :90] = picture
    for step, expected in ((Normalize(MEAN, STD), (padded[..., ::-1] - np.float32(MEAN)) / np.float32(STD)),
                           (RandomFlip(1.), padded[:, ::-1]),
                           (Resize((30, 20), keep_ratio=False), cv2.resize(padded, (30, 20))),
                           (Pad(size=(70, 96)), np.concatenate([padded, np.zeros((6, 96, 3))]))):
        sample = Compose([Pad(size_divisor=32), step])(make_sample(picture))
        np.testing.assert_allclose(network_input(sample), expected, atol=1e-5)


def test_boxes_of_a_padded_picture_stay_with_what_they_frame(make_sample):
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[20:40, 10:30] = 255
    for step in (RandomFlip(1.), MinIoURandomCrop(min_crop_size=0.9), Expand(prob=1.)):
        for seed in range(5):
            sample = make_sample(picture, [[10, 20, 30, 40]], rng=np.random.default_rng(seed))
            sample = Compose([Pad(size_divisor=32), step])(sample)
            x1, y1, x2, y2 = sample['gt_bboxes'][0].astype(int)
            assert (network_input(sample)[y1:y2, x1:x2] == 255).all()
