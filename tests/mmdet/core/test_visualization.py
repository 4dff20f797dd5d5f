"""Painted detections."""
from __future__ import annotations

import numpy as np

from mmdet.core.post_processing.detections import Detections
from mmdet.core.visualization import draw_detections, label_colour

BOXES = np.array([[10, 30, 60, 80], [70, 20, 90, 50]], np.float32)
FOUND = Detections(BOXES, np.array([0.9, 0.2], np.float32), np.array([0, 1]))


def test_boxes_above_the_score_are_painted_in_their_colour_on_a_copy():
    img = np.zeros((100, 120, 3), np.uint8)
    out = draw_detections(img, FOUND, ('a', 'b'), score_thr=0.3)
    assert not img.any()
    assert tuple(out[55, 10]) == tuple(label_colour(0)) and not out[35, 70].any()
    assert draw_detections(img, FOUND, ('a', 'b'), score_thr=0.1)[35, 70].any()


def test_neighbouring_labels_differ():
    colours = np.array([label_colour(label) for label in range(80)])
    assert (np.abs(np.diff(colours, axis=0)).sum(axis=1) > 100).all()
    assert colours.min() >= 0 and colours.max() <= 255


def test_boxes_beyond_the_picture_do_not_fail():
    beyond = Detections(np.array([[-20, -20, 500, 500]], np.float32), np.array([1.0], np.float32), np.array([0]))
    assert draw_detections(np.zeros((50, 50, 3), np.uint8), beyond, ('a',)).shape == (50, 50, 3)
