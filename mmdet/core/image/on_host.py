"""What `finish_pixels` does to a batch, done to one picture by OpenCV: for workers, whose cores it takes a tenth of the time.

Brightness, contrast, the order of channels and normalisation are linear in a pixel's channels, so that one 3x4 matrix does
them all, before and after the hue is turned. A change of saturation alone is linear as well once the pixel's value (its
largest channel) is known: a channel c becomes value - factor * (value - c).
"""
from __future__ import annotations

from typing import Sequence

import cv2
import numpy as np

from mmdet.core.image.pixels import COLOUR, FILL, NO_FILL, NORMALISE, SEEN, VALID

UNFILLED = np.float32(NO_FILL)
STRIPE = 100  # rows at a time, so that what is in between stays in the cache


def finish_picture(picture: np.ndarray, row: np.ndarray, out: np.ndarray) -> None:
    """Network input from a rendered picture.

    Args:
        picture: (h, w, 3) uint8 or float32, B, G, R.
        row: (WIDTH,) float32, see pixels.py.
        out: (H, W, 3) float32 to write into, all of it; H >= h, W >= w.
    """
    height, width = (int(side) for side in row[VALID])
    if (height, width) != out.shape[:2]:
        out[:] = 0
    colour = row[COLOUR].tolist()
    last = _last_matrix(colour, row[NORMALISE].tolist())
    left, top, right, bottom = (int(side) for side in row[SEEN])
    if (left, top, right, bottom) != (0, 0, width, height):
        beyond = picture[:1, :1] if top or left else picture[height - 1:height, width - 1:width]
        colour_beyond = np.empty((1, 1, 3), np.float32)
        _distort(beyond, colour, last, colour_beyond)
        lines, line = out.reshape(len(out), -1), np.tile(colour_beyond[0, 0], width)
        lines[:top, :3 * width] = lines[bottom:height, :3 * width] = line
        lines[top:bottom, :3 * left] = line[:3 * left]
        lines[top:bottom, 3 * right:3 * width] = line[3 * right:]
    for start in range(top, bottom, STRIPE):
        rows = slice(start, min(start + STRIPE, bottom))
        _distort(picture[rows, left:right], colour, last, out[rows, left:right])
    if not (row[FILL] == UNFILLED).all():
        _paint_fill(out[:height, :width], row)


def _last_matrix(colour: Sequence[float], normalise: Sequence[float]) -> np.ndarray:
    """(3, 4) what comes after hue and saturation: contrast if it is last, order of the channels, normalisation."""
    contrast = 1.0 if colour[1] > 0 else colour[2]
    order = colour[7:4:-1] if normalise[6] > 0 else colour[5:8]
    matrix = np.zeros((3, 4), np.float32)
    for channel, source in enumerate(order):
        mean, std = normalise[channel], normalise[3 + channel]
        matrix[channel, int(source)], matrix[channel, 3] = contrast / std, -mean / std
    return matrix


def _distort(picture: np.ndarray, colour: Sequence[float], last: np.ndarray, out: np.ndarray) -> None:
    """Brightness, contrast if it is first, saturation and hue, then `last`."""
    brightness, first, contrast, saturation, hue = colour[:5]
    factor = contrast if first > 0 else 1.0
    if not (brightness or hue or factor != 1 or saturation != 1):
        cv2.transform(_as_float(picture), last, out)
        return
    if brightness >= 0 and picture.dtype == np.uint8:
        # Where no channel is negative, hue and the ratio of channels stay the same: this may as well come afterwards.
        last = last.copy()
        last[:, 3] += last[:, :3].sum(axis=1) * np.float32(factor * brightness)
        last[:, :3] *= np.float32(factor)
        if not hue:
            picture = picture if saturation == 1 else _saturated(picture, saturation)
            cv2.transform(_as_float(picture), last, out)
            return
        picture = _as_float(picture)
    else:
        picture = cv2.transform(_as_float(picture), _scaled((factor, factor, factor), (factor * brightness,) * 3))
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    turn = hue if hue >= 0 else hue + 360  # OpenCV takes hues above 360 degrees, not below 0
    hsv = cv2.transform(hsv, _scaled((1, saturation, 1), (turn, 0, 0)), hsv)
    cv2.transform(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), last, out)


def _saturated(picture: np.ndarray, factor: float) -> np.ndarray:
    """(h, w, 3) float32 of a uint8 picture."""
    blue, green, red = cv2.split(picture)
    value = cv2.cvtColor(cv2.max(cv2.max(blue, green), red), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(picture, factor, value, 1 - factor, 0, dtype=cv2.CV_32F)


def _scaled(factors: tuple, offsets: tuple) -> np.ndarray:
    """(3, 4) that multiplies each channel by its factor and adds its offset."""
    matrix = np.zeros((3, 4), np.float32)
    matrix[range(3), range(3)] = factors
    matrix[:, 3] = offsets
    return matrix


def _as_float(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32, copy=False)


def _coverage(lines: np.ndarray, length: int) -> np.ndarray:
    """(length,) share of the picture along one axis: `coverage` of pixels.py."""
    pixel = np.arange(length, dtype=np.float32)
    return (lines[0] * pixel + lines[1]).clip(0, 1) * (lines[2] * pixel + lines[3]).clip(0, 1)


def _paint_fill(out: np.ndarray, row: np.ndarray) -> None:
    """Put the fill colour outside the picture, mixed at its edges; a mean is normalised as its parts are."""
    height, width = out.shape[:2]
    columns = row[FILL]
    (means, stds), reverse = row[NORMALISE][:6].reshape(2, 3), row[NORMALISE][6]
    fill = ((columns[2::-1] if reverse > 0 else columns[:3]) - means) / stds
    share = np.outer(_coverage(columns[7:11], height), np.repeat(_coverage(columns[3:7], width), 3))
    out[:] = out * share.reshape(out.shape) + ((1 - share) * np.tile(fill, width)).reshape(out.shape)
