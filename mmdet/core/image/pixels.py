"""What is left to do to a batch of rendered pictures: distort colours, paint the fill, normalise. Batched, on any device.

A sample's worker draws the parameters and writes them into one row of numbers; the pixels follow here, for the whole
batch at once, on the device or in the worker with equal results. OpenCV's float conversions are the reference.

Sizes:  N images,  H W pixels. Channels are B, G, R until the last step.
"""
from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

# Columns of a row, in order of use.
COLOUR = slice(0, 8)        # brightness, contrast first, contrast, saturation, hue, channel order (3)
FILL = slice(8, 19)         # colour B G R, then two lines (slope, offset) along x and two along y: see `coverage`
VALID = slice(19, 21)       # height and width in pixels; 0 beyond (padding)
NORMALISE = slice(21, 28)   # mean (3) and std (3) in order of the output channels, 1 to reverse channels to R, G, B
SEEN = slice(28, 32)        # left, top, right, bottom in pixels; all is of one colour beyond, which may save work
WIDTH = 32

NO_COLOUR = (0., 0., 1., 1., 0., 0., 1., 2.)
NO_NORMALISE = (0., 0., 0., 1., 1., 1., 0.)
NO_FILL = (0., 0., 0., 0., 1., 0., 1., 0., 1., 0., 1.)


def row_of(colour: Sequence[float], fill: Sequence[float], valid: Sequence[float], normalise: Sequence[float],
           seen: Sequence[float]) -> np.ndarray:
    """(WIDTH,) float32: the columns above, in their order."""
    return np.array((*colour, *fill, *valid, *normalise, *seen), dtype=np.float32)


class PixelOps(NamedTuple):
    """The rows of a batch, and which steps any of them needs (known on the host, so that no step asks the device).

    Fields:
        rows: (N, WIDTH) float32.
        colour, fill, padded: whether any picture is distorted, filled after colour, or padded.
    """
    rows: Tensor
    colour: bool
    fill: bool
    padded: bool

    @classmethod
    def from_rows(cls, rows: Sequence[np.ndarray], shape: Tuple[int, int]) -> PixelOps:
        table = np.stack(rows).astype(np.float32)
        return cls(torch.from_numpy(table), bool((table[:, COLOUR] != np.float32(NO_COLOUR)).any()),
                   bool((table[:, FILL] != np.float32(NO_FILL)).any()), bool((table[:, VALID] != np.float32(shape)).any()))


def finish_pixels(img: Tensor, ops: PixelOps) -> Tensor:
    """Network input from rendered pictures.

    Args:
        img: (N, 3, H, W) uint8 or float, B, G, R.
        ops: on the same device.

    Returns:
        (N, 3, H, W) float32, in the memory layout of `img`.
    """
    columns = ops.rows.t()[:, :, None, None, None]  # each (N, 1, 1, 1)
    out = img.float()
    if ops.colour:
        out = distort_colours(out, columns[COLOUR])
    if ops.fill:
        out = paint_fill(out, columns[FILL])
    means, stds, reverse = columns[NORMALISE][0:3], columns[NORMALISE][3:6], columns[NORMALISE][6]
    out = torch.where(reverse > 0, out.flip(1), out)
    out = (out - torch.cat(tuple(means), dim=1)) / torch.cat(tuple(stds), dim=1)
    return zero_padding(out, columns[VALID]) if ops.padded else out


def distort_colours(img: Tensor, parameters: Tensor) -> Tensor:
    """SSD's photometric distortion: brightness, contrast (first or last), saturation and hue, channel order.

    Values are not clipped to 0..255, and saturation not to 1, as in MMDetection 2.x.

    Args:
        img: (N, 3, H, W) float, B, G, R.
        parameters: (8, N, 1, 1, 1), the COLOUR columns.
    """
    brightness, contrast_first, contrast, saturation, hue = parameters[:5]
    one = torch.ones_like(contrast)
    img = (img + brightness) * torch.where(contrast_first > 0, contrast, one)
    h, s, v = bgr_to_hsv(img)
    h = h + hue
    h = torch.where(h > 360, h - 360, h)
    h = torch.where(h < 0, h + 360, h)
    distorted = hsv_to_bgr(h, s * saturation, v) * torch.where(contrast_first > 0, one, contrast)
    order = torch.cat(tuple(parameters[5:8]), dim=1).long()  # (N, 3, 1, 1)
    return torch.gather(distorted, 1, order.expand_as(img), out=torch.empty_like(img))  # `out` keeps the memory layout


def bgr_to_hsv(img: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """(N, 3, H, W) -> hue in 0..360 degrees, saturation, value, each (N, 1, H, W); OpenCV's float formula."""
    b, g, r = img.split(1, dim=1)
    eps = torch.finfo(img.dtype).eps
    v = torch.maximum(torch.maximum(b, g), r)
    spread = v - torch.minimum(torch.minimum(b, g), r)
    s = spread / (v.abs() + eps)
    unit = 60.0 / (spread + eps)
    h = torch.where(v == r, (g - b) * unit, torch.where(v == g, (b - r) * unit + 120, (r - g) * unit + 240))
    return torch.where(h < 0, h + 360, h), s, v


def hsv_to_bgr(h: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """Inverse of `bgr_to_hsv`, (N, 3, H, W); each channel is the value less its share of saturation at that hue."""
    channels = []
    for offset in (1, 3, 5):  # blue, green and red are fullest at 240, 120 and 0 degrees, sixths apart
        position = torch.remainder(h / 60 + offset, 6)
        share = torch.minimum(position, 4 - position).clamp(0, 1)
        channels.append(v - v * s * share)
    return torch.cat(channels, dim=1)


def coverage(lines: Tensor, length: int) -> Tensor:
    """Share of the picture (the rest is fill) in each output pixel along one axis: 1 inside, a ramp at the edges.

    Args:
        lines: (4, N, 1, 1, 1): slope and offset of the rising edge, then of the falling edge, over the pixel index.
        length: output pixels.

    Returns:
        (N, 1, 1, length).
    """
    pixel = torch.arange(length, device=lines.device, dtype=lines.dtype)
    return (lines[0] * pixel + lines[1]).clamp(0, 1) * (lines[2] * pixel + lines[3]).clamp(0, 1)


def paint_fill(img: Tensor, parameters: Tensor) -> Tensor:
    """Put the fill colour outside each picture, mixed at its edges as bilinear resizing would.

    Args:
        img: (N, 3, H, W), rendered with its border repeated outward.
        parameters: (11, N, 1, 1, 1), the FILL columns.
    """
    colour = torch.cat(tuple(parameters[:3]), dim=1)  # (N, 3, 1, 1)
    share = coverage(parameters[3:7], img.size(3)) * coverage(parameters[7:11], img.size(2)).transpose(2, 3)
    return img * share + colour * (1 - share)


def zero_padding(img: Tensor, parameters: Tensor) -> Tensor:
    """Zero beyond each picture's height and width, (2, N, 1, 1, 1)."""
    rows = torch.arange(img.size(2), device=img.device)[:, None] < parameters[0]
    columns = torch.arange(img.size(3), device=img.device) < parameters[1]
    return torch.where(rows & columns, img, img.new_zeros(()))  # masked_fill would lose the memory layout
