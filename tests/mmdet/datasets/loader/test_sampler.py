"""The order of the data follows from seed and epoch, and from nothing else."""
from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet.datasets.loader.sampler import GroupBatchSampler, ShardBatchSampler, grouped_batches

FLAGS = st.lists(st.integers(0, 2), min_size=1, max_size=40).map(np.array)
FLAG = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1, 1] * 5)


def batches(sampler, epoch=0, skip=0):
    sampler.set_epoch(epoch, skip)
    return list(sampler)


def indices(sampler, epoch=0):
    return [[index for _, index in batch] for batch in batches(sampler, epoch)]


@settings(max_examples=60, deadline=None)
@given(FLAGS, st.integers(1, 6), st.integers(1, 4), st.integers(0, 100), st.integers(0, 9))
def test_every_picture_appears_in_full_batches_of_one_group(flag, samples, world_size, seed, epoch):
    ranks = [GroupBatchSampler(flag, samples, rank, world_size, seed) for rank in range(world_size)]
    shares = [indices(sampler, epoch) for sampler in ranks]
    assert {len(share) for share in shares} == {len(sampler) for sampler in ranks}  # no rank waits for another
    for step in zip(*shares):
        whole = [index for batch in step for index in batch]
        assert len(whole) == samples * world_size and len(set(flag[whole])) == 1
    seen = np.bincount(np.concatenate([batch for share in shares for batch in share]), minlength=len(flag))
    for group in np.unique(flag):
        counts = seen[flag == group]
        assert counts.min() >= 1 and counts.sum() - len(counts) < samples * world_size  # only the last batch is filled


def test_the_order_is_a_function_of_seed_and_epoch():
    order = indices(GroupBatchSampler(FLAG, 4, seed=7), 3)
    used = GroupBatchSampler(FLAG, 4, seed=7)
    for epoch in (0, 9, 3, 1):
        indices(used, epoch)
    assert indices(used, 3) == order == indices(used, 3)
    np.random.seed(0)  # nor does the global generator matter
    assert indices(GroupBatchSampler(FLAG, 4, seed=7), 3) == order
    assert indices(GroupBatchSampler(FLAG, 4, seed=8), 3) != order
    assert indices(GroupBatchSampler(FLAG, 4, seed=7), 4) != order


def test_keys_carry_their_epoch():
    assert {epoch for batch in batches(GroupBatchSampler(FLAG, 4), 6) for epoch, _ in batch} == {6}
    assert all(type(index) is int for batch in batches(GroupBatchSampler(FLAG, 4)) for _, index in batch)


def test_batches_and_pictures_are_shuffled():
    sampler = GroupBatchSampler(np.repeat([0, 1], 50), 5)
    first = indices(sampler)
    assert any(batch != sorted(batch) for batch in first)
    kinds = [batch[0] >= 50 for batch in first]
    assert kinds != sorted(kinds) and kinds != sorted(kinds, reverse=True)
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in indices(sampler, 1)}


@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_together_have_the_batches_of_one_process(world_size):
    alone = indices(GroupBatchSampler(FLAG, 8, seed=5), 2)
    ranks = [indices(GroupBatchSampler(FLAG, 8 // world_size, rank, world_size, seed=5), 2) for rank in range(world_size)]
    assert [list(chain(*step)) for step in zip(*ranks)] == alone


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.integers(1, 2))
def test_skipping_continues_exactly(skip, world_size):
    whole = batches(GroupBatchSampler(FLAG, 3, world_size - 1, world_size, seed=1), 4)
    resumed = GroupBatchSampler(FLAG, 3, world_size - 1, world_size, seed=1)
    assert batches(resumed, 4, skip) == whole[skip:]
    assert len(resumed) == len(whole)  # of a whole epoch
    assert batches(resumed, 5) == batches(GroupBatchSampler(FLAG, 3, world_size - 1, world_size, seed=1), 5)


def test_a_group_smaller_than_a_batch_is_repeated():
    assert indices(GroupBatchSampler(np.array([0, 1, 1, 1]), 3)) in ([[0] * 3, [1, 2, 3]], *(
        [[0] * 3, list(order)] for order in [(1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)]), *(
        [list(order), [0] * 3] for order in [(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)]))


def test_what_fills_the_last_batch_is_drawn_from_its_group():
    """Not its beginning each time: over epochs every picture is repeated."""
    filled = set()
    for seed in range(40):
        batch, = grouped_batches([np.arange(5, 10)], 7, np.random.default_rng(seed)).tolist()
        assert sorted(batch[:5]) == [5, 6, 7, 8, 9]
        filled |= set(batch[5:])
    assert filled == {5, 6, 7, 8, 9}


def test_ranks_share_a_group_of_mmdetections_size_without_overlap():
    """The example of MMDetection's distributed sampler: two ranks, two pictures each, three wide and seven tall ones."""
    flag = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1, 1])
    for epoch in range(5):
        ranks = [indices(GroupBatchSampler(flag, 2, rank, 2, seed=3), epoch) for rank in range(2)]
        assert [len(share) for share in ranks] == [3, 3]
        for ours, theirs in zip(*ranks):
            assert len(set(flag[ours + theirs])) == 1
        assert len({tuple(batch) for share in ranks for batch in share}) >= 5
        counts = np.bincount(np.concatenate([batch for share in ranks for batch in share]), minlength=10)
        assert counts.sum() == 12 and counts.min() == 1 and counts[flag == 0].sum() == 4
    orders = [indices(GroupBatchSampler(flag, 2, seed=3), epoch) for epoch in range(5)]
    assert len({str(order) for order in orders}) == 5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 7), st.integers(1, 4))
def test_evaluation_sees_each_picture_once_in_order(length, samples, world_size):
    shards = [ShardBatchSampler(length, samples, rank, world_size) for rank in range(world_size)]
    seen = [[index for batch in shard for _, index in batch] for shard in shards]
    whole = batches(ShardBatchSampler(length, samples))
    for rank, (shard, mine) in enumerate(zip(shards, seen)):
        assert mine == shard.indices and batches(shard) == whole[rank::world_size]  # each as it would be in one process
        found = batches(shard, epoch=3, skip=1)  # neither has a meaning here
        assert len(found) == len(shard) and all(0 < len(batch) <= samples for batch in found)
        assert all(len(batch) == samples for batch in found[:-1]) and all(epoch == 0 for batch in found for epoch, _ in batch)
    assert sorted(chain(*seen)) == list(range(length))
