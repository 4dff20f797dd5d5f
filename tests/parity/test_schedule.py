"""Learning rates and the order of the data, compared with what MMDetection computed (tests/parity/data/README.md)."""
from __future__ import annotations

import numpy as np
import pytest

from mmcv_need.hooks import StepLrUpdaterHook
from mmdet.datasets.loader.sampler import grouped_batches


def test_the_rate_of_the_2x_schedule_is_equal(stored):
    hook = StepLrUpdaterHook(step=[16, 22], warmup='linear', warmup_iters=500, warmup_ratio=0.001)
    rows = stored('schedule_sampler.json')['lr']
    assert len(rows) == 10
    for iteration, epoch, rate in rows:
        found, = hook.rates([2e-3], epoch, iteration, max_epochs=24, epoch_len=9162)
        assert found == pytest.approx(rate, rel=1e-12, abs=0), (iteration, epoch)


def test_batches_are_group_samplers_for_the_same_generator(stored):
    data = stored('schedule_sampler.json')['group_sampler']
    flag = np.array(data['flag'])
    groups = [np.flatnonzero(flag == group) for group in np.unique(flag)]
    found = grouped_batches(groups, data['samples_per_gpu'], np.random.RandomState(data['seed']))
    assert found.ravel().tolist() == data['order']


def test_batches_of_a_second_example_are_equal():
    """MMDetection 2.6, numpy's global generator seeded with 0."""
    groups = [np.array([0, 3, 7]), np.array([1, 2, 4, 5, 6, 8, 9])]
    assert grouped_batches(groups, 2, np.random.RandomState(0)).tolist() == [[0, 3], [7, 3], [1, 5], [2, 6], [8, 5], [9, 4]]
