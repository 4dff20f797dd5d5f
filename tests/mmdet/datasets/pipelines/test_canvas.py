"""Windows beyond their picture, against a canvas that is really painted."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet.datasets.pipelines import canvas
from mmdet.datasets.pipelines.canvas import render_filled, rows_read, span_of

FILL = (10., 200., 90.)


@settings(max_examples=300, deadline=None)
@given(length=st.integers(1, 20000), out=st.integers(1, 1000))
def test_rows_read_hold_the_two_neighbours_of_each_position(length, out):
    rows = rows_read(length, out)
    if length < canvas.SPARSE * out:
        assert rows is None
        return
    position = (np.arange(out) + 0.5) * (length / out) - 0.5
    neighbours = np.concatenate([np.floor(position), np.floor(position) + 1]).clip(0, length - 1)
    assert set(neighbours.astype(int).tolist()) <= set(rows.tolist())
    assert (np.diff(rows) >= 0).all() and rows[0] >= 0 and rows[-1] < length and len(rows) == 3 * out


@settings(max_examples=300, deadline=None)
@given(start=st.integers(-60, 60), window=st.integers(1, 80), length=st.integers(1, 40), out=st.integers(1, 90))
def test_output_pixels_outside_a_span_read_nothing_of_the_picture(start, window, length, out):
    span = span_of(start, window, length, out)
    inside = np.zeros(window)
    inside[max(-start, 0):max(length - start, 0)] = 1
    if not inside.any():
        assert span.out_first == span.out_last == 0
        return
    assert inside[span.first:span.last].all() and inside.sum() == span.last - span.first
    read = cv2.resize(np.tile(inside, (2, 1)), (out, 2), interpolation=cv2.INTER_LINEAR)[0] > 0
    assert not read[:span.out_first].any() and not read[span.out_last:].any()


@settings(max_examples=300, deadline=None)
@given(data=st.data(), dtype=st.sampled_from([np.uint8, np.float32]), repeat_border=st.booleans())
def test_it_shows_what_the_painted_canvas_does(data, dtype, repeat_border):
    side, small = st.integers(1, 60), st.integers(-70, 70)
    height, width = data.draw(side), data.draw(side)
    left, top = data.draw(small), data.draw(small)
    window, size = (data.draw(st.integers(1, 150)), data.draw(st.integers(1, 150))), (data.draw(side), data.draw(side))
    if data.draw(st.booleans()):
        window = (window[0], window[1] + canvas.SPARSE * size[1])
    source = np.random.default_rng(height * width).integers(0, 256, (height, width, 3)).astype(dtype)
    x, y = span_of(left, window[0], width, size[0]), span_of(top, window[1], height, size[1])
    painted = np.empty((window[1], window[0], 3), dtype)
    painted[:] = np.array(FILL).astype(dtype)
    seen = source[y.source:y.source + y.last - y.first, x.source:x.source + x.last - x.first]
    painted[y.first:y.last, x.first:x.last] = seen
    if repeat_border and seen.size:
        painted = cv2.copyMakeBorder(seen, y.first, window[1] - y.last, x.first, window[0] - x.last, cv2.BORDER_REPLICATE)
    expected = painted if size == window else cv2.resize(painted, size, interpolation=cv2.INTER_LINEAR)
    canvas._memory.__dict__.clear()  # what an earlier window left there must not help
    shown = render_filled(source, x, y, window, size, FILL, repeat_border)
    rows, columns = slice(y.out_first, y.out_last), slice(x.out_first, x.out_last)
    np.testing.assert_allclose(shown[rows, columns], expected[rows, columns], rtol=0, atol=0 if dtype is np.uint8 else 1e-4)
    beyond = np.ones(shown.shape[:2], bool)
    beyond[rows, columns] = False
    assert (shown[beyond] == np.array(FILL).astype(dtype)).all()


@pytest.mark.parametrize('window, size', [((8, 1), (7, 1)), ((301, 301), (300, 300)), ((300, 300), (300, 300)),
                                          ((9, 9), (10, 10))])
def test_a_window_of_almost_the_outputs_size_is_scaled_too(window, size):
    source = np.random.default_rng(0).integers(0, 256, (5, 2, 3), dtype=np.uint8)
    painted = np.empty((window[1], window[0], 3), np.uint8)
    painted[:] = np.uint8(FILL)
    painted[:5, :2] = source[:window[1]]
    x, y = span_of(0, window[0], 2, size[0]), span_of(0, window[1], 5, size[1])
    np.testing.assert_array_equal(render_filled(source, x, y, window, size, FILL, False), cv2.resize(painted, size))


@pytest.mark.parametrize('sides', [(700, 900), (3000, 4000)])
def test_memory_of_a_canvas_is_used_again_unless_it_is_large(sides):
    canvas._memory.__dict__.clear()
    height, width = sides
    first, second = (canvas._canvas(height, width, np.dtype(np.uint8)) for _ in range(2))
    assert np.shares_memory(first, second) == (height * width * 3 <= canvas.KEPT)
