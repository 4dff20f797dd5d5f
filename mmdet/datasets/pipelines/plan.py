"""The plan of a sample's picture: what transforms decided, rendered once at the end.

Every geometric transform of SSD amounts to looking at the decoded picture through a window, which may reach beyond the
picture, and scaling that view to the output. So transforms edit the window, and no canvas is ever painted; `render` then
reads each pixel of the source once, and shows bit for bit what the painted canvas would.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import cv2
import numpy as np

from mmdet.core.image import pixels
from mmdet.core.image.on_host import finish_picture
from mmdet.datasets.pipelines.canvas import Span, render_filled, span_of


@dataclass
class Plan:
    """A view of a decoded picture.

    Attributes:
        source: (h, w, 3) decoded picture, uint8 (or float from a user's transform), B, G, R.
        left, top, width, height: the window, in pixels of the source; integers.
        size: (width, height) to scale the window to; None leaves it.
        flip_x, flip_y: mirror the view.
        fill: B, G, R outside the picture.
        fill_after_colour: whether the fill was painted after the colours were distorted (MMDetection before 2.19).
        colour: parameters of the distortion, the COLOUR columns of core/image/pixels.py.
        mean, std, to_rgb: normalisation; None leaves values in 0..255.
        pad_shape: (H, W) of the output with zeros beyond the picture; None does not pad.
    """
    source: np.ndarray
    left: int = 0
    top: int = 0
    width: int = 0
    height: int = 0
    size: Optional[Tuple[int, int]] = None
    flip_x: bool = False
    flip_y: bool = False
    fill: Tuple[float, float, float] = (0., 0., 0.)
    fill_after_colour: bool = False
    colour: Tuple[float, ...] = pixels.NO_COLOUR
    mean: Tuple[float, ...] = (0., 0., 0.)
    std: Tuple[float, ...] = (1., 1., 1.)
    to_rgb: bool = False
    pad_shape: Optional[Tuple[int, int]] = None

    def __post_init__(self) -> None:
        if not self.width:
            self.height, self.width = self.source.shape[:2]

    @property
    def shape(self) -> Tuple[int, int]:
        """(height, width) of the view as it would be rendered now, without padding."""
        return (self.height, self.width) if self.size is None else (self.size[1], self.size[0])

    @property
    def is_filled(self) -> bool:
        """Whether the window reaches beyond the picture."""
        height, width = self.source.shape[:2]
        return self.left < 0 or self.top < 0 or self.left + self.width > width or self.top + self.height > height

    @property
    def is_scaled(self) -> bool:
        return self.size is not None

    @property
    def is_distorted(self) -> bool:
        return self.colour != pixels.NO_COLOUR

    @property
    def is_normalised(self) -> bool:
        return (*self.mean, *self.std, float(self.to_rgb)) != pixels.NO_NORMALISE

    def move_window(self, x: int, y: int, width: int, height: int) -> None:
        """Show what is at (x, y, width, height) of the present view, which need not be inside it; before scaling only."""
        if x < 0 or y < 0 or x + width > self.width or y + height > self.height:
            self._forget_hidden()
        if self.flip_x:
            x = self.width - x - width
        if self.flip_y:
            y = self.height - y - height
        self.left, self.top, self.width, self.height = self.left + x, self.top + y, width, height

    def _forget_hidden(self) -> None:
        """Cut the source to its visible part, without a copy: what a crop left out does not come back on a larger canvas."""
        height, width = self.source.shape[:2]
        x1, x2 = (min(max(side, 0), width) for side in (self.left, self.left + self.width))
        y1, y2 = (min(max(side, 0), height) for side in (self.top, self.top + self.height))
        self.source = self.source[y1:y2, x1:x2]
        self.left, self.top = self.left - x1, self.top - y1

    def spans(self) -> Tuple[Span, Span]:
        """Where the picture lies in the view, along x and along y, before it is mirrored."""
        (height, width), (out_height, out_width) = self.source.shape[:2], self.shape
        return span_of(self.left, self.width, width, out_width), span_of(self.top, self.height, height, out_height)

    def settled(self) -> Plan:
        """A plan whose source is this view with all that was planned done to it, for whatever comes unplanned after."""
        view, row = render(self), pixel_row(self)
        if self.is_normalised or self.is_distorted or (self.is_filled and self.fill_after_colour):
            finished = np.empty(view.shape, np.float32)
            finish_picture(view, row, finished)
            view = finished
        return Plan(view)


def render(plan: Plan) -> np.ndarray:
    """(H, W, 3) of the source's dtype: window, scale and flips; the fill too, unless it comes after the colours.

    One `cv2.resize` of the window: bit for bit what cropping and resizing a painted canvas gives.
    """
    window, size = (plan.width, plan.height), plan.shape[::-1]
    if plan.is_filled:
        view = render_filled(plan.source, *plan.spans(), window, size, plan.fill, plan.fill_after_colour)
    else:
        view = plan.source[plan.top:plan.top + plan.height, plan.left:plan.left + plan.width]
        if size != window:
            view = cv2.resize(view, size, interpolation=cv2.INTER_LINEAR)
    if plan.flip_x or plan.flip_y:
        view = cv2.flip(view, 1 if not plan.flip_y else 0 if not plan.flip_x else -1)
    if plan.pad_shape is not None:
        padded = np.zeros((*plan.pad_shape, 3), view.dtype)
        padded[:view.shape[0], :view.shape[1]] = view
        view = padded
    return np.ascontiguousarray(view)


def pixel_row(plan: Plan) -> np.ndarray:
    """(WIDTH,) float32: what `finish_pixels` still has to do to the rendered picture."""
    fill = _fill_columns(plan) if plan.is_filled and plan.fill_after_colour else pixels.NO_FILL
    seen = _seen(plan) if plan.is_filled else (0, 0, *plan.shape[::-1])
    return pixels.row_of(plan.colour, fill, plan.shape, (*plan.mean, *plan.std, plan.to_rgb), seen)


def _seen(plan: Plan) -> Tuple[int, ...]:
    """The SEEN columns: the part of the view beyond which all is fill."""
    x, y = plan.spans()
    left, right, top, bottom = x.out_first, x.out_last, y.out_first, y.out_last
    height, width = plan.shape
    if plan.flip_x:
        left, right = width - right, width - left
    if plan.flip_y:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _fill_columns(plan: Plan) -> Tuple[float, ...]:
    """The FILL columns: along each axis, two lines over the output pixel index whose product is the picture's share."""
    source_height, source_width = plan.source.shape[:2]
    out_height, out_width = plan.shape
    x = _edge_lines(plan.left, plan.width, source_width, out_width, plan.flip_x)
    y = _edge_lines(plan.top, plan.height, source_height, out_height, plan.flip_y)
    return (*plan.fill, *x, *y)


def _edge_lines(start: int, window: int, source: int, out: int, flip: bool) -> Tuple[float, ...]:
    """Rising and falling edge of the picture along one axis, each a slope and an offset.

    Output pixel i samples the source at s = (i + 0.5) * window / out - 0.5 + start; bilinear weights give the picture the
    share s + 1 up to its first pixel and source - s from its last one on. An edge that the window does not pass has share 1.
    A window wholly beside the picture has share 0 throughout, up to its last pixel.
    """
    if max(start, 0) >= min(start + window, source):
        return (0., 0., 0., 0.)
    slope = window / out
    offset = 0.5 * slope - 0.5 + start
    if flip:
        slope, offset = -slope, offset + slope * (out - 1)
    rising = (slope, offset + 1) if start < 0 else (0., 1.)
    falling = (-slope, source - offset) if start + window > source else (0., 1.)
    return (*rising, *falling)
