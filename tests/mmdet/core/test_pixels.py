"""Colours, fill, normalisation and padding, against OpenCV doing the same step by step.

Every batch here is finished twice: at once by tensors, as on a device, and picture by picture, as in a worker.
"""
from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mmcv_need.torch_versions import TORCH_VERSION
from mmdet.core.image.on_host import STRIPE, finish_picture
from mmdet.core.image.pixels import NO_COLOUR, NO_FILL, NO_NORMALISE, PixelOps, bgr_to_hsv, finish_pixels, hsv_to_bgr, row_of

H, W = 24, 32
MEAN, STD = (123.675, 116.28, 103.53), (58.4, 57.1, 57.4)
# A float32 near 360 degrees has a step of 3e-5, and a channel moves up to 10 levels with each degree (value * saturation /
# 60). OpenCV and we round the hue five times or so on the way there and back.
ROUNDING = 1e-3


def pictures(n, height=H, width=W, seed=0):
    """(n, height, width, 3) uint8, B G R; black, white, grey and pure colours among them."""
    made = np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)
    made[:, 0, :8] = [[0, 0, 0], [255, 255, 255], [7, 7, 7], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [1, 0, 0]]
    return made


def row(colour=NO_COLOUR, fill=NO_FILL, valid=(H, W), normalise=NO_NORMALISE, seen=None):
    return row_of(colour, fill, valid, normalise, (0, 0, *valid[::-1]) if seen is None else seen)


def finish(imgs, rows, layout=torch.contiguous_format, device='cpu'):
    """(n, H, W, 3) float32, through tensors and back; a worker's is the same."""
    batch = torch.from_numpy(np.ascontiguousarray(imgs)).permute(0, 3, 1, 2).contiguous(memory_format=layout).to(device)
    ops = PixelOps.from_rows(rows, imgs.shape[1:3])
    finished = finish_pixels(batch, ops._replace(rows=ops.rows.to(device))).permute(0, 2, 3, 1).cpu().numpy()
    for img, columns, expected in zip(imgs, rows, finished):
        np.testing.assert_allclose(finish_alone(img, columns), expected, rtol=1e-6, atol=ROUNDING)
    return finished


def finish_alone(img, columns):
    """Of one picture, (H, W, 3) float32; whatever was in its place before is gone."""
    out = np.full(img.shape, np.nan, dtype=np.float32)
    finish_picture(img, columns, out)
    return out


def distort_with_opencv(img, brightness, contrast_first, contrast, saturation, hue, *order):
    """PhotoMetricDistortion of MMDetection 2.x, for given draws, on one (H, W, 3) picture."""
    img = img.astype(np.float32) + np.float32(brightness)
    if contrast_first:
        img = img * np.float32(contrast)
    hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
    hsv[..., 1] *= saturation
    hsv[..., 0] += hue
    hsv[..., 0][hsv[..., 0] > 360] -= 360
    hsv[..., 0][hsv[..., 0] < 0] += 360
    img = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if not contrast_first:
        img = img * np.float32(contrast)
    return img[..., [int(channel) for channel in order]]


DISTORTIONS = {
    'brighter': (20., 0, 1., 1., 0., 0, 1, 2),
    'darker, below zero': (-32., 0, 1., 1., 0., 0, 1, 2),
    'contrast first': (10., 1, 1.5, 1., 0., 0, 1, 2),
    'contrast last': (10., 0, 1.5, 1., 0., 0, 1, 2),
    'saturation up, beyond 1': (0., 0, 1., 1.5, 0., 0, 1, 2),
    'saturation down': (0., 0, 1., .5, 0., 0, 1, 2),
    'hue up': (0., 0, 1., 1., 18., 0, 1, 2),
    'hue down': (0., 0, 1., 1., -18., 0, 1, 2),
    'channels in another order': (0., 0, 1., 1., 0., 2, 0, 1),
    'everything, contrast first': (-30., 1, .5, 1.4, -17., 1, 2, 0),
    'everything, contrast last': (31., 0, 1.4, .6, 16., 2, 1, 0),
}


@pytest.mark.parametrize('name', DISTORTIONS)
def test_colours_are_distorted_as_by_opencv(name, device):
    img = pictures(1)
    actual = finish(img, [row(colour=DISTORTIONS[name])], device=device)[0]
    np.testing.assert_allclose(actual, distort_with_opencv(img[0], *DISTORTIONS[name]), rtol=0, atol=ROUNDING)


def test_each_picture_of_a_batch_has_its_own_distortion():
    imgs, colours = pictures(len(DISTORTIONS)), list(DISTORTIONS.values())
    actual = finish(imgs, [row(colour=colour) for colour in colours])
    expected = [distort_with_opencv(img, *colour) for img, colour in zip(imgs, colours)]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize('hue', [-18., -10., 10., 18.])
def test_hue_wraps_around_red(hue):
    """Hues 350 to 10 degrees, turned across 0 and 360."""
    hsv = np.stack(np.broadcast_arrays(np.arange(350, 371, dtype=np.float32)[None] % 360, np.float32(.8), np.float32(200)), -1)
    img = cv2.cvtColor(np.repeat(hsv, 3, axis=0), cv2.COLOR_HSV2BGR)[None]
    colour = (0., 0, 1., 1., hue, 0, 1, 2)
    actual = finish(img, [row(colour=colour, valid=img.shape[1:3])])[0]
    np.testing.assert_allclose(actual, distort_with_opencv(img[0], *colour), rtol=0, atol=ROUNDING)


def test_hue_saturation_value_are_opencvs_and_invert():
    img = pictures(1)[0].astype(np.float32)
    h, s, v = bgr_to_hsv(torch.from_numpy(img).permute(2, 0, 1)[None])
    expected = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
    actual = torch.cat([h, s, v], dim=1)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(hsv_to_bgr(h, s, v)[0].permute(1, 2, 0).numpy(), img, atol=2e-3)


def test_neutral_rows_leave_every_value_alone():
    imgs = pictures(2)
    actual = finish(imgs, [row(), row()])
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual, imgs)


def test_a_neutral_row_beside_distorted_filled_and_padded_ones_changes_nothing_but_rounding():
    imgs = pictures(2)
    other = row(colour=DISTORTIONS['hue up'], fill=(9., 9., 9., 1., -3., 0., 1., 0., 1., 0., 1.), valid=(3, 3))
    np.testing.assert_allclose(finish(imgs, [row(), other])[0], imgs[0], atol=2e-3)


def test_steps_that_no_picture_needs_are_known_on_the_host():
    neutral, coloured = row(), row(colour=DISTORTIONS['hue up'])
    filled, padded = row(fill=(1., 2., 3., 1., 0., 0., 1., 0., 1., 0., 1.)), row(valid=(H - 1, W))
    for rows, flags in (([neutral], (False, False, False)), ([neutral, coloured], (True, False, False)),
                        ([filled, neutral], (False, True, False)), ([padded, neutral], (False, False, True))):
        assert PixelOps.from_rows(rows, (H, W))[1:] == flags


@pytest.mark.parametrize('to_rgb', [0., 1.])
def test_normalisation_reverses_channels_then_subtracts_means_and_divides_by_stds(to_rgb):
    img = pictures(1)
    channels = img[0][..., ::-1] if to_rgb else img[0]
    expected = (channels.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(finish(img, [row(normalise=(*MEAN, *STD, to_rgb))])[0], expected, rtol=1e-6, atol=1e-6)


def edge_lines(start, window, source, out):
    """Shares of the picture along one axis: output pixel i samples the picture at s; s + 1 rises before it, source - s falls.

    Where the window ends with the picture there is no edge: OpenCV repeats the last pixel.
    """
    slope, offset = window / out, 0.5 * window / out - 0.5 + start
    rising = (slope, offset + 1) if start < 0 else (0., 1.)
    falling = (-slope, source - offset) if start + window > source else (0., 1.)
    return (*rising, *falling)


@pytest.mark.parametrize('canvas, place', [
    ((50, 70), (5, 9)), ((96, 128), (40, 60)), ((40, 50), (1, 1)), ((30, 200), (6, 0)), ((24, 40), (0, 8))])
@pytest.mark.parametrize('out', [(30, 30), (90, 61), (17, 150)])
def test_fill_is_what_a_painted_canvas_resizes_to(canvas, place, out):
    """A picture put on a canvas of fill and resized, against the picture repeated outward, resized, and then filled."""
    picture, (top, left), fill = pictures(1)[0].astype(np.float32), place, (100., 50., 25.)
    painted = np.full((*canvas, 3), fill, dtype=np.float32)
    painted[top:top + H, left:left + W] = picture
    repeated = cv2.copyMakeBorder(picture, top, canvas[0] - H - top, left, canvas[1] - W - left, cv2.BORDER_REPLICATE)
    size = (out[1], out[0])
    lines = (*edge_lines(-left, canvas[1], W, out[1]), *edge_lines(-top, canvas[0], H, out[0]))
    actual = finish(cv2.resize(repeated, size)[None], [row(fill=(*fill, *lines), valid=out)])[0]
    np.testing.assert_allclose(actual, cv2.resize(painted, size), atol=2e-2)


def test_fill_is_painted_after_the_colours_are_distorted():
    nowhere = (0., 0., 0., 1., 0., 1., 0., 1.)  # both edges of x at share 0: all is fill
    colour = DISTORTIONS['everything, contrast last']
    actual = finish(pictures(1), [row(colour=colour, fill=(100., 50., 25., *nowhere))])
    np.testing.assert_array_equal(actual, np.broadcast_to(np.float32([100, 50, 25]), actual.shape))


def test_padding_is_zero_after_normalisation():
    imgs = pictures(2)
    normalise = (*MEAN, *STD, 1.)
    actual = finish(imgs, [row(valid=(10, 20), normalise=normalise), row(normalise=normalise)])
    assert (actual[0, 10:] == 0).all() and (actual[0, :, 20:] == 0).all()
    np.testing.assert_array_equal(actual[0, :10, :20], finish(imgs, [row(normalise=normalise)] * 2)[0, :10, :20])
    np.testing.assert_array_equal(actual[1], finish(imgs, [row(normalise=normalise)] * 2)[1])


@pytest.mark.parametrize('rows', [
    [row(normalise=(*MEAN, *STD, 1.))] * 2, [row(colour=DISTORTIONS['hue up'])] * 2, [row(valid=(4, 4))] * 2,
    [row(fill=(1., 2., 3., 1., -3., 0., 1., 0., 1., 0., 1.))] * 2], ids=['normalise', 'colour', 'padding', 'fill'])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_the_memory_layout_stays_and_does_not_change_the_result(rows, layout):
    imgs = pictures(2)
    batch = torch.from_numpy(imgs).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    out = finish_pixels(batch, PixelOps.from_rows(rows, (H, W)))
    np.testing.assert_array_equal(out.permute(0, 2, 3, 1).numpy(), finish(imgs, rows))
    if TORCH_VERSION >= (1, 11):  # 1.8 lays results out anew, which costs time only; those between were not tried
        assert out.is_contiguous(memory_format=layout)


@pytest.mark.parametrize('name', DISTORTIONS)
@pytest.mark.parametrize('seen', [(5, 3, 20, 17), (0, 0, 20, 17), (5, 3, W, H), (0, 0, 0, 0), (0, 3, W, 10)], ids=str)
def test_what_lies_beyond_the_picture_is_distorted_too(name, seen):
    left, top, right, bottom = seen
    img = np.full((H, W, 3), (100, 50, 25), np.uint8)
    img[top:bottom, left:right] = pictures(1)[0][top:bottom, left:right]
    finish(img[None], [row(colour=DISTORTIONS[name], normalise=(*MEAN, *STD, 1.), seen=seen)])


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_a_large_picture_is_finished_in_stripes_and_stays_as_it_was(dtype):
    img = pictures(1, 2 * STRIPE + 7, 40)[0].astype(dtype)
    before = img.copy()
    for colour in DISTORTIONS.values():
        finish(img[None], [row(colour=colour, valid=img.shape[:2])])
    np.testing.assert_array_equal(img, before)
