"""A window that reaches beyond its picture, scaled: what painting the canvas and resizing it gives, in whole levels to the bit.

The canvas is laid out in memory, since OpenCV's resize is to read it, but hardly painted: only the picture and two pixels of
fill around it are written. Output pixels that read anything else lie wholly in the fill and are painted afterwards.
"""
from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch

MARGIN = 2  # of fill around the picture: bilinear resizing reads two pixels, and OpenCV's float32 positions may be off by a bit
WOBBLE = 0.01  # how far, generously
KEPT = 16 * 2**20  # bytes of canvas that are used again for the next picture: COCO's hold; new memory costs more than its use
SPARSE = 8  # from this many rows for each output row on, only those that are read are written

_memory = threading.local()


class Span(NamedTuple):
    """Where the picture lies along one axis.

    Fields:
        first, last: in the window's pixels, half open.
        source: the first one's index in the picture.
        out_first, out_last: the output pixels that read any of it, half open.
    """
    first: int
    last: int
    source: int
    out_first: int
    out_last: int


def span_of(start: int, window: int, length: int, out: int) -> Span:
    """A window of `window` pixels from `start` on, over a picture of `length`, scaled to `out` pixels.

    Output pixel i reads the pixels around (i + 0.5) * window / out - 0.5. A window beside the picture has an empty span.
    """
    first, last = min(max(-start, 0), window), max(min(length - start, window), 0)
    if first >= last:
        return Span(0, 0, 0, 0, 0)
    out_first = math.ceil((first - 0.5 - WOBBLE) * out / window - 0.5)
    out_last = math.floor((last + 0.5 + WOBBLE) * out / window - 0.5) + 1
    return Span(first, last, max(start, 0), max(out_first, 0), min(out_last, out))


def render_filled(source: np.ndarray, x: Span, y: Span, window: Tuple[int, int], size: Tuple[int, int], fill: Sequence[float],
                  repeat_border: bool) -> np.ndarray:
    """(H, W, 3) of the source's dtype.

    Args:
        source: (h, w, 3) picture.
        x, y: where it lies.
        window: (width, height) in its pixels.
        size: (W, H) of the output.
        fill: B, G, R beyond the picture.
        repeat_border: mix the picture's border into output pixels at its edges rather than the fill, which is painted later.
    """
    colour = np.array(fill).astype(source.dtype)
    view = np.empty((size[1], size[0], 3), source.dtype)
    lines, line = view.reshape(size[1], -1), np.tile(colour, size[0])  # numpy fills lines faster than pixels
    lines[:y.out_first] = lines[y.out_last:] = line
    if y.out_first < y.out_last and x.out_first < x.out_last:
        # What lies beyond the picture, to the right and below, is cut off; to the left and above it cannot be.
        ratio = size[0] / window[0], size[1] / window[1]
        width, height = (min(max(span.last + MARGIN, math.ceil(span.out_last / share)), whole)
                         for span, share, whole in zip((x, y), ratio, window))
        if (round(width * ratio[0]), round(height * ratio[1])) == (width, height):  # which OpenCV would copy
            width, height = window
        canvas = _canvas(height, width, source.dtype)
        _paint(canvas, source, x, y, colour, rows_read(window[1], size[1]), repeat_border)
        scaled = cv2.resize(canvas, None, fx=ratio[0], fy=ratio[1], interpolation=cv2.INTER_LINEAR)
        rows, columns = slice(y.out_first, y.out_last), slice(x.out_first, x.out_last)
        view[rows, columns] = scaled[rows, columns]
        lines[rows, :3 * x.out_first] = line[:3 * x.out_first]
        lines[rows, 3 * x.out_last:] = line[3 * x.out_last:]
    else:
        lines[y.out_first:y.out_last] = line
    return view


def _canvas(height: int, width: int, dtype: Any) -> np.ndarray:
    """(height, width, 3) with anything in it. (numpy would ask for huge pages for a new one, and get all of them.)"""
    size = height * width * 3 * dtype.itemsize
    memory = getattr(_memory, 'kept', None)
    if memory is None or memory.size < size:
        memory = torch.empty(max(size, 2**20), dtype=torch.uint8).numpy()
        if size <= KEPT:
            _memory.kept = memory
    return memory[:size].view(dtype).reshape(height, width, 3)


def _paint(canvas: np.ndarray, source: np.ndarray, x: Span, y: Span, colour: np.ndarray,
           rows: Optional[np.ndarray], repeat_border: bool) -> None:
    """The picture, and MARGIN pixels of the colour, or of its border, around it."""
    lines = canvas.reshape(len(canvas), -1)
    columns = slice(3 * x.first, 3 * x.last)
    picture = source[:, x.source:x.source + x.last - x.first]
    if rows is not None:
        rows = rows[(rows >= y.first) & (rows < y.last)]
        lines[rows, columns] = picture[rows + (y.source - y.first)].reshape(len(rows), -1)
    else:
        canvas[y.first:y.last, x.first:x.last] = picture[y.source:y.source + y.last - y.first]
    low, high = max(x.first - MARGIN, 0), min(x.last + MARGIN, canvas.shape[1])
    above, below = slice(max(y.first - MARGIN, 0), y.first), slice(y.last, y.last + MARGIN)
    if repeat_border:
        lines[above, columns], lines[below, columns] = (
            picture[row].reshape(-1) for row in (y.source, y.source + y.last - y.first - 1))
    middle = slice(above.start, below.stop)
    canvas[middle, low:x.first] = canvas[middle, x.first:x.first + 1] if repeat_border else colour
    canvas[middle, x.last:high] = canvas[middle, x.last - 1:x.last] if repeat_border else colour
    if not repeat_border:
        lines[above, 3 * low:3 * high] = lines[below, 3 * low:3 * high] = np.tile(colour, high - low)


def rows_read(length: int, out: int) -> Optional[np.ndarray]:
    """Which of `length` rows bilinear resizing to `out` rows may read, three for each; None for all, unless they are many."""
    if length < SPARSE * out:
        return None
    first = np.floor((np.arange(out) + 0.5) * (length / out) - 0.5 - WOBBLE).astype(int)
    return (first[:, None] + np.arange(3)).ravel().clip(0, length - 1)
