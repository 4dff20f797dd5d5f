"""How MinIoURandomCrop searches: which modes it tries, and how long. What a crop does is in test_geometric.py."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet.datasets.pipelines.random_crop import MinIoURandomCrop

MODES = (1, 0.1, 0.3, 0.5, 0.7, 0.9, 0)


class Stubborn:
    """Draws the same mode three times, then that of no crop; and the middle of every range."""

    def __init__(self, mode):
        self.coming = [mode] * 3 + [1]
        self.tries = 0

    def integers(self, count):
        return MODES.index(self.coming.pop(0))

    def random(self, size):
        return SimpleNamespace(tolist=lambda: (self._half() for _ in range(size)))

    def _half(self):
        self.tries += 1
        return 0.5


def test_a_mode_that_fails_fifty_times_is_drawn_again(make_sample):
    """The box is large enough to overlap a crop by 0.3, and the crops that are tried are not where it is."""
    rng = Stubborn(0.3)
    MinIoURandomCrop()(make_sample(np.zeros((80, 100, 3), np.uint8), [[0, 0, 60, 30]], rng=rng))
    assert not rng.coming and rng.tries == 3 * 50 * 4


def test_a_mode_that_no_crop_can_satisfy_is_drawn_again_at_once(make_sample):
    rng = Stubborn(0.9)
    MinIoURandomCrop()(make_sample(np.zeros((80, 100, 3), np.uint8), [[0, 0, 60, 30], [0, 0, 5, 5]], rng=rng))
    assert not rng.coming and rng.tries == 0


@settings(max_examples=200, deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 200), seed=st.integers(0, 2 ** 32))
def test_no_crop_overlaps_the_boxes_by_more_than_is_called_reachable(eager, width, height, seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (rng.integers(1, 4), 2, 2)) * (width, height)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1)
    transform = MinIoURandomCrop()
    reachable = transform._reachable_overlap((height, width), float((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).min()))
    for patch in transform._tries(rng, (height, width)):
        assert min(eager.iou(patch, box) for box in boxes) <= reachable
