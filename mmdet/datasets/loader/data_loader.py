"""The loader: a dataset, a batch sampler, and workers that only ever see (epoch, index)."""
from __future__ import annotations

import signal
import time
from contextlib import suppress
from functools import partial
from typing import Any, Iterator, Optional, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mmcv_need.cores import available_cores
from mmcv_need.dist_utils import patience
from mmcv_need.errors import DataError, UserError
from mmcv_need.failures import ended_by
from mmcv_need.stop_signals import SIGNALS, held_back
from mmdet.datasets.loader.bad_pictures import BadPictures, another, of_batch
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.loader.sampler import GroupBatchSampler, Key, ShardBatchSampler
from mmdet.datasets.loader.worker_start import WorkerStart
from mmdet.datasets.loader.worker_watch import WorkerWatch

PATIENCE = 0.8  # of that of the other processes, which would else give up first, and know less
SETTLE, LOOK = 2.0, 0.05  # seconds to wait for the end of a worker whose socket has closed, and for each of them in turn
FEWER = '; fewer data.workers_per_gpu need less'
HINTS = {getattr(signal, 'SIGKILL', None): FEWER,  # not every system has both
         getattr(signal, 'SIGBUS', None): f' (shared memory is full: see `df /dev/shm`){FEWER}'}
REPLACEMENTS = 10  # tries to replace a sample of which a transform says that it is of no use


class SeededSamples(Dataset):
    """A dataset addressed by (epoch, index), whose random numbers follow from (seed, epoch, index) and nothing else.

    Args:
        dataset: has `sample(index, rng)`.
        seed: of the run.
        skip: whether another picture takes the place of one that cannot be used (bad_pictures.py); else that is an error.
    """

    def __init__(self, dataset: Any, seed: int, skip: bool = False):
        self.dataset = dataset
        self.seed = seed
        self.skip = skip

    def __getitem__(self, key: Key) -> Any:
        """The sample, or the UserError that it ends in: a worker's exception would arrive as the text of a traceback."""
        try:
            return self._sample(*key)
        except UserError as error:
            return error

    def _sample(self, epoch: int, index: int) -> Any:
        rng = np.random.default_rng([self.seed, epoch, index])
        try:
            item = self.dataset.sample(index, rng)
        except DataError as error:
            if not self.skip:
                raise
            return another(self.dataset, self.seed, index, rng, error)
        for _ in range(REPLACEMENTS):
            if item is not None:
                return item
            same_group = np.flatnonzero(self.dataset.flag == self.dataset.flag[index])
            item = self.dataset.sample(int(rng.choice(same_group)), rng)
        raise DataError(f'the pipeline gave up on picture {index} and on {REPLACEMENTS} others in its place')


class EpochLoader:
    """Batches of one epoch after another; `len` is that of a whole epoch.

    A worker that ends, or gives nothing for too long, is an error that says so.

    Args:
        samples: addressed by the sampler's keys.
        sampler: makes the batches.
        workers: processes that prepare batches, as far as there are cores (samples do not depend on their number); 0
            prepares them here.
        pin_memory: for devices that copy from pinned memory without waiting.
        finish: whether workers distort colours and normalise as well; else that is left to the device.
        seed: of torch's own generator, which hands seeds to the workers; it decides nothing of the samples.
        bad: counts the pictures that were skipped, where they may be.
    """

    def __init__(self, samples: Dataset, sampler: Any, workers: int, pin_memory: bool = False, finish: bool = False,
                 seed: int = 0, bad: Optional[BadPictures] = None):
        self.bad = bad
        self.dataset = samples.dataset if isinstance(samples, SeededSamples) else samples
        self.sampler = sampler
        workers = min(workers, available_cores())
        self._start = WorkerStart(workers)
        self._loader = DataLoader(samples, batch_sampler=sampler, num_workers=workers,
                                  collate_fn=partial(collate, finish=finish),
                                  pin_memory=pin_memory, persistent_workers=workers > 0, worker_init_fn=self._start,
                                  generator=torch.Generator().manual_seed(seed))

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Choose the epoch, and how many of its batches are done already."""
        self.sampler.set_epoch(epoch, skip)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        watch = WorkerWatch(self._workers, PATIENCE * patience())  # of the epoch before: they have to say that they are there
        try:
            with watch.waiting(), held_back(SIGNALS):  # and in the workers that start here for good
                batches = self._start.batches(self._loader)
            if not watch.workers:
                watch = WorkerWatch(self._workers, watch.patience)
            while True:
                with watch.waiting():
                    batch = next(batches, None)
                if batch is None:
                    return
                if isinstance(batch, UserError):
                    raise batch
                if self.bad is not None:
                    self.bad.look_at(of_batch(batch))
                yield batch
        except (ConnectionError, EOFError, RuntimeError) as error:  # of the socket to a worker, or of what noticed its end
            ended = self._ended_worker()
            if not ended:
                raise
            raise RuntimeError(f'DataLoader worker {watch if watch.stuck else ended}') from error
        finally:
            watch.stop()

    @property
    def _workers(self) -> Sequence[Any]:
        return getattr(getattr(self._loader, '_iterator', None), '_workers', [])

    def _ended_worker(self) -> str:
        """What ended a worker, in words; '' if all are there. A socket may close a moment before its process ends."""
        workers = self._workers
        until = time.monotonic() + SETTLE
        while workers and time.monotonic() < until:
            with suppress(RuntimeError):  # torch raises where the signal of a worker's end happens to arrive: here, once
                for worker in workers:
                    worker.join(LOOK)
                    if worker.exitcode is not None:
                        return f'(pid {worker.pid}) {ended_by(worker.exitcode)}{HINTS.get(-worker.exitcode, "")}'
        return ''


def train_loader(dataset: Any, samples_per_gpu: int, workers: int, seed: int, rank: int = 0, world_size: int = 1,
                 pin_memory: bool = False, finish: bool = False, bad: Optional[BadPictures] = None) -> EpochLoader:
    sampler = GroupBatchSampler(dataset.flag, samples_per_gpu, rank, world_size, seed)
    return EpochLoader(SeededSamples(dataset, seed, bad is not None), sampler, workers, pin_memory, finish, seed, bad)


def eval_loader(dataset: Any, samples_per_gpu: int, workers: int, rank: int = 0, world_size: int = 1,
                pin_memory: bool = False, finish: bool = False, bad: Optional[BadPictures] = None) -> EpochLoader:
    sampler = ShardBatchSampler(len(dataset), samples_per_gpu, rank, world_size)
    return EpochLoader(SeededSamples(dataset, 0, bad is not None), sampler, workers, pin_memory, finish, bad=bad)
