"""Which pictures make up each batch of an epoch: a pure function of (seed, epoch)."""
from __future__ import annotations

from typing import Any, Iterator, List, Sequence, Tuple

import numpy as np

Key = Tuple[int, int]  # (epoch, index): all that decides a sample, beside the seed


def grouped_batches(groups: Sequence[np.ndarray], size: int, rng: Any) -> np.ndarray:
    """Shuffled batches, each of one group: the draws of MMDetection's GroupSampler, one after another.

    A group that does not fill its last batch repeats some of its members, chosen at random.

    Args:
        groups: indices of each group, none empty.
        size: of a batch.
        rng: a Generator, or a RandomState to get MMDetection's own order.

    Returns:
        (batches, size) indices.
    """
    batches = []
    for group in groups:
        order = rng.permutation(group)
        extra = rng.choice(order, -len(order) % size)
        batches.append(np.concatenate([order, extra]).reshape(-1, size))
    return rng.permutation(np.concatenate(batches))


class GroupBatchSampler:
    """Shuffled batches of pictures of one group, wide or tall, for one of several ranks.

    MMDetection's GroupSampler in one process, and its DistributedGroupSampler in several. Batches are cut for all ranks
    together and shared out, so that the order of the data does not depend on the number of ranks as long as the global batch
    is the same. A group that does not fill its last batch repeats pictures.

    Args:
        flag: (P,) group of each picture.
        samples_per_gpu: pictures a rank and batch.
        rank, world_size: which share.
        seed: of the order.
    """

    def __init__(self, flag: np.ndarray, samples_per_gpu: int, rank: int = 0, world_size: int = 1, seed: int = 0):
        self.groups = [np.flatnonzero(flag == group) for group in np.unique(flag)]
        self.samples_per_gpu = samples_per_gpu
        self.rank = rank
        self.global_batch = samples_per_gpu * world_size
        self.seed = seed
        self.epoch = self.skip = 0

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Choose the epoch, and how many of its batches are done already."""
        self.epoch, self.skip = epoch, skip

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return sum(-(-len(group) // self.global_batch) for group in self.groups)

    def __iter__(self) -> Iterator[List[Key]]:
        start = self.rank * self.samples_per_gpu
        rng = np.random.default_rng([self.seed, self.epoch])
        for batch in grouped_batches(self.groups, self.global_batch, rng)[self.skip:]:
            yield [(self.epoch, int(index)) for index in batch[start:start + self.samples_per_gpu]]


class ShardBatchSampler:
    """All pictures in order, each on exactly one rank: for evaluation. MMDetection's DistributedSampler, without its repeats.

    Batches are cut for all ranks together and dealt out whole: each is computed as it would be in one process.

    Args:
        length: pictures.
        samples_per_gpu: pictures a batch; the last batch may be smaller.
        rank, world_size: this rank takes batches rank, rank + world_size, ...
    """

    def __init__(self, length: int, samples_per_gpu: int, rank: int = 0, world_size: int = 1):
        starts = range(rank * samples_per_gpu, length, world_size * samples_per_gpu)
        self.batches = [range(start, min(start + samples_per_gpu, length)) for start in starts]

    @property
    def indices(self) -> List[int]:
        """This rank's pictures, in order."""
        return [index for batch in self.batches for index in batch]

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """The order is always the same."""

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[List[Key]]:
        for batch in self.batches:
            yield [(0, index) for index in batch]
