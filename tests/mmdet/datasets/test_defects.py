"""Defects of annotations: columns say what a loop over boxes says."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdet.datasets.annotations import IGNORED, LEFT_OUT, WANTED
from mmdet.datasets.defects import NOTES, SERIOUS, leads_out, noted_boxes, repeated, spoilt_boxes

SIDE = st.sampled_from([-1e300, -20., -3., -1., 0., 0.5, 1., 2.5, 10., 99., 100., 101., 130., 1e7, math.inf, math.nan])
BOX = st.tuples(SIDE, SIDE, SIDE, SIDE)


def kind_of(box, size, unknown, kind):
    """What is to be said of one box, by the definitions; None if nothing is."""
    x1, y1, x2, y2 = box
    width, height = size
    if unknown:
        return SERIOUS[3]
    if any(math.isnan(side) or abs(side) > 1e6 for side in box):
        return SERIOUS[4]
    if x2 < x1 or y2 < y1:
        return SERIOUS[5]
    if x2 > x1 and y2 > y1 and width > 0 and height > 0 and (x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height):
        return SERIOUS[6]
    if x2 == x1 or y2 == y1:
        return NOTES[0]
    if x2 - x1 < 1 or y2 - y1 < 1:
        return NOTES[1]
    if kind == LEFT_OUT:
        return NOTES[2]
    if kind == IGNORED:
        return NOTES[3]
    if x2 - x1 < 2 or y2 - y1 < 2:
        return NOTES[4]
    if min(x1, y1) < -1 or x2 > width + 1 or y2 > height + 1:
        return NOTES[5]
    return None


@given(st.lists(st.tuples(BOX, st.booleans(), st.sampled_from([WANTED, IGNORED, LEFT_OUT])), max_size=30),
       st.tuples(st.sampled_from([0, 100]), st.sampled_from([0, 100])))
@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')
def test_a_box_is_of_the_kind_that_the_definitions_say(rows, size):
    corners = np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4)
    unknown, kinds = np.array([row[1] for row in rows], bool), np.array([row[2] for row in rows], np.int8)
    sizes = np.tile(np.array(size), (len(rows), 1))
    masks = spoilt_boxes(corners, sizes, unknown)
    spoilt = np.logical_or.reduce(list(masks.values()))
    masks.update(noted_boxes(corners, sizes, kinds, spoilt))
    for i, (box, is_unknown, kind) in enumerate(rows):
        expected = kind_of(box, size, is_unknown, kind)
        assert [name for name, mask in masks.items() if mask[i]] == ([expected] if expected else [])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.tuples(*[st.sampled_from([0., -0., 1., 7.25])] * 4)),
                max_size=40))
def test_a_box_that_occurs_twice_is_one_that_an_earlier_one_equals(rows):
    rows = sorted(rows, key=lambda row: row[0])
    pictures, labels, corners = (np.array([row[k] for row in rows]) for k in range(3))
    expected = [row in rows[:i] for i, row in enumerate(rows)]
    assert repeated(pictures, labels, corners.reshape(-1, 4).astype(np.float64)).tolist() == expected


@pytest.mark.parametrize('name, leads', [
    ('a.jpg', False), ('sub/a.jpg', False), ('sub/../a.jpg', False), ('..a.jpg', False), ('a..b/c.jpg', False),
    ('/etc/passwd', True), ('../a.jpg', True), ('sub/../../a.jpg', True), ('..', True), ('./../a.jpg', True)])
def test_which_names_lead_out_of_a_folder(name, leads):
    assert leads_out(name) == leads
