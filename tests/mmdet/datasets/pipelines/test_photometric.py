"""Colour: what is drawn, in which order, and what it does to the pixels."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmcv_need.errors import ConfigError
from mmdet.core.image.pixels import NO_COLOUR, finish_pixels
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Compose
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.photometric import Normalize, PhotoMetricDistortion

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
ROUNDING = 1e-3  # of float32: see tests/mmdet/core/test_pixels.py


def network_input(sample) -> np.ndarray:
    batch = collate([Collect(['img'])(sample)])
    return finish_pixels(batch['img'], batch['pixel_ops'])[0].permute(1, 2, 0).numpy()


def draw_colours(make_sample, count, **arguments) -> np.ndarray:
    """(count, 8) parameters."""
    transform, picture = PhotoMetricDistortion(**arguments), np.zeros((2, 2, 3), np.uint8)
    return np.array([transform(make_sample(picture, rng=np.random.default_rng(seed))).plan.colour for seed in range(count)])


def assert_half(flags):
    assert abs(np.sum(flags) - len(flags) / 2) < 5 * (len(flags) / 4) ** 0.5


def test_each_distortion_happens_every_other_time_within_its_range(make_sample):
    brightness, first, contrast, saturation, hue, *order = draw_colours(make_sample, 1500).T
    for values, low, high, none in ((brightness, -32, 32, 0), (contrast, 0.5, 1.5, 1), (saturation, 0.5, 1.5, 1),
                                    (hue, -18, 18, 0)):
        drawn = values[values != none]
        assert_half(values != none)
        assert (drawn >= low).all() and (drawn <= high).all()
        assert np.histogram(drawn, bins=4, range=(low, high))[0].min() > 0.19 * len(drawn)  # evenly
    assert set(first) == {0, 1}
    assert_half(first)
    orders, counts = np.unique(np.array(order), axis=1, return_counts=True)
    assert orders.shape == (3, 6) and (np.sort(orders, axis=0) == [[0], [1], [2]]).all()
    assert counts[0] == pytest.approx(1500 * (0.5 + 0.5 / 6), rel=0.1)  # 0 1 2: not permuted, or by chance
    assert (abs(counts[1:] - 125) < 5 * 125 ** 0.5).all()


def test_distortions_are_independent(make_sample):
    colours = draw_colours(make_sample, 1500)
    happened = (colours[:, [0, 1, 2, 3, 4]] != np.array([0, 0, 1, 1, 0])).astype(float)
    correlation = np.corrcoef(happened.T) - np.eye(5)
    assert np.abs(correlation).max() < 0.13


def test_ranges_follow_the_arguments(make_sample):
    colours = draw_colours(make_sample, 200, brightness_delta=5, contrast_range=(2, 3), saturation_range=(0, 0.25), hue_delta=1)
    assert np.abs(colours[:, 0]).max() <= 5 and np.abs(colours[:, 4]).max() <= 1
    assert set(colours[:, 2] >= 2) == {True, False} and colours[:, 2].max() <= 3
    assert colours[:, 3].min() <= 0.25 and ((colours[:, 3] <= 0.25) | (colours[:, 3] == 1)).all()


@pytest.mark.parametrize('contrast_first', [1, 0])
def test_numbers_are_drawn_in_mmdetections_order(make_sample, scripted_draws, contrast_first):
    contrast, middle = [1, 0.25], [1, 0.75, 1, 1.]
    rng = scripted_draws(1, 0.75, contrast_first, *(contrast + middle if contrast_first else middle + contrast), 1, (2, 0, 1))
    sample = PhotoMetricDistortion()(make_sample(np.zeros((2, 2, 3), np.uint8), rng=rng))
    assert not rng.values
    assert sample.plan.colour == (16., contrast_first, 0.75, 1.25, 18., 2., 0., 1.)
    toss, contrast = ('integers', 2), [('integers', 2), ('uniform', 0.5, 1.5)]
    middle = [toss, ('uniform', 0.5, 1.5), toss, ('uniform', -18, 18)]
    assert rng.calls == [toss, ('uniform', -32, 32), toss, *(contrast + middle if contrast_first else middle + contrast),
                         toss, ('permutation', 3)]


def test_what_is_not_drawn_is_left_alone(make_sample, scripted_draws):
    for contrast_first in (0, 1):
        rng = scripted_draws(0, contrast_first, 0, 0, 0, 0)
        sample = PhotoMetricDistortion()(make_sample(np.zeros((2, 2, 3), np.uint8), rng=rng))
        assert not rng.values and [call[0] for call in rng.calls] == ['integers'] * 6
        assert [*sample.plan.colour[:1], *sample.plan.colour[2:]] == [*NO_COLOUR[:1], *NO_COLOUR[2:]]


@pytest.mark.parametrize('seed, mean', [(0, 167.300385), (1, 156.956833), (2, 178.395691)])
def test_the_mean_of_mmdetections_example(make_sample, legacy_draws, seed, mean):
    picture = (np.arange(60 * 80 * 3) % 251).reshape(60, 80, 3).astype(np.float32)
    sample = PhotoMetricDistortion()(make_sample(picture, rng=legacy_draws(seed)))
    assert network_input(sample).mean() == pytest.approx(mean, abs=2e-3)


def test_pixels_are_those_of_opencv_for_any_draw(eager, make_sample, natural_picture):
    worst = 0.
    for seed in range(60):
        picture = natural_picture(seed % 4, 60, 80)
        sample = PhotoMetricDistortion()(make_sample(picture, rng=np.random.default_rng(seed)))
        expected = dict(img=picture)
        eager.photo_metric_distortion(expected, np.random.default_rng(seed))
        worst = max(worst, np.abs(network_input(sample) - expected['img']).max())
    assert worst < ROUNDING


def test_noise_and_greys_are_those_of_opencv_too(eager, make_sample):
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    for picture in (noise, greys, np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)):
        for seed in range(30):
            sample = PhotoMetricDistortion()(make_sample(picture, rng=np.random.default_rng(seed)))
            expected = dict(img=picture)
            eager.photo_metric_distortion(expected, np.random.default_rng(seed))
            np.testing.assert_allclose(network_input(sample), expected['img'], rtol=0, atol=ROUNDING)


def test_values_are_not_clipped(make_sample, scripted_draws):
    rng = scripted_draws(1, 1., 1, 1, 1., 0, 0, 0)  # + 32, then times 1.5
    bright = network_input(PhotoMetricDistortion()(make_sample(np.full((2, 2, 3), 250, np.uint8), rng=rng)))
    np.testing.assert_allclose(bright, 423, atol=1e-3)
    rng = scripted_draws(1, 0., 0, 0, 0, 0, 0)
    dark = network_input(PhotoMetricDistortion()(make_sample(np.full((2, 2, 3), 10, np.uint8), rng=rng)))
    np.testing.assert_allclose(dark, -22, atol=1e-3)


def test_the_picture_itself_is_not_touched(make_sample, natural_picture):
    picture = natural_picture(0)
    before = picture.copy()
    sample = Compose([PhotoMetricDistortion(), Normalize(MEAN, STD)])(make_sample(picture, rng=np.random.default_rng(0)))
    assert sample.plan.source is picture
    network_input(sample)
    np.testing.assert_array_equal(picture, before)


def test_pictures_of_a_batch_are_distorted_each_on_its_own(make_sample, natural_picture):
    items, alone = [], []
    for seed in range(6):
        sample = Compose([PhotoMetricDistortion(), Normalize(MEAN, STD, to_rgb=seed % 2 == 0)])(
            make_sample(natural_picture(seed, 30, 40), rng=np.random.default_rng(seed)))
        items.append(Collect(['img'])(sample))
        alone.append(network_input(sample))
    batch = collate(items)
    together = finish_pixels(batch['img'], batch['pixel_ops']).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-4)


@pytest.mark.parametrize('to_rgb', [True, False])
def test_normalize_subtracts_the_mean_of_each_channel_and_divides(make_sample, natural_picture, to_rgb):
    picture = natural_picture(0, 30, 40)
    sample = Normalize(MEAN, STD, to_rgb)(make_sample(picture))
    channels = picture[..., ::-1] if to_rgb else picture
    np.testing.assert_allclose(network_input(sample), (channels - np.float64(MEAN)) / np.float64(STD), atol=1e-5)
    assert sample['img_norm_cfg']['to_rgb'] is to_rgb and tuple(sample['img_norm_cfg']['mean']) == MEAN


def test_normalize_of_mmdetections_example(make_sample):
    picture = (np.arange(60 * 80 * 3) % 251).reshape(60, 80, 3).astype(np.uint8)
    shown = network_input(Normalize(MEAN, (1, 1, 1))(make_sample(picture)))
    np.testing.assert_allclose(shown[0, 0], [-121.675, -115.28, -103.53], atol=1e-5)


def test_a_batch_without_distortion_is_exactly_its_pixels(make_sample, natural_picture):
    picture = natural_picture(0, 30, 40)
    batch = collate([Collect(['img'])(make_sample(picture))])
    assert batch['img'].dtype == torch.uint8 and not batch['pixel_ops'].colour
    np.testing.assert_array_equal(finish_pixels(batch['img'], batch['pixel_ops'])[0].permute(1, 2, 0).numpy(), picture)


@pytest.mark.parametrize('make', [
    lambda: PhotoMetricDistortion(contrast_range=(1.5, 0.5)), lambda: PhotoMetricDistortion(saturation_range=(-1, 1)),
    lambda: PhotoMetricDistortion(contrast_range=(1,)), lambda: Normalize((1, 2), (1, 1, 1)),
    lambda: Normalize((1, 2, 3), (1, 0, 1))])
def test_arguments_that_cannot_be_meant_are_errors_in_one_line(make):
    with pytest.raises(ConfigError) as error:
        make()
    assert len(str(error.value).splitlines()) == 1
