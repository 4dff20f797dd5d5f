"""Workers that do not begin are replaced: the copy of a process may be stuck before its first line."""
from __future__ import annotations

import os
import time

import pytest
import torch
from torch.utils.data import DataLoader

from mmdet.datasets.loader import worker_start
from mmdet.datasets.loader.worker_start import REPLACED, WorkerStart, end

pytestmark = [pytest.mark.filterwarnings('ignore:This process .* is multi-threaded, use of fork'),
              pytest.mark.skipif(not hasattr(os, 'register_at_fork'), reason='processes are not forked here')]
STUCK = []  # of the processes that will be forked, one after another, whether each gets stuck
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=lambda: time.sleep(600 if STUCK and STUCK[0] else 0),
                        after_in_parent=lambda: STUCK and STUCK.pop(0))


@pytest.fixture
def start(monkeypatch):
    monkeypatch.setattr(worker_start, 'SECONDS', 1.0)
    yield WorkerStart(2)
    STUCK.clear()


def loader_of(start):
    return DataLoader(list(range(7)), 2, num_workers=2, worker_init_fn=start, persistent_workers=True)


@pytest.mark.parametrize('stuck', [[], [True], [False, True], [True, True, False, True]])
def test_those_that_are_stuck_are_replaced_and_every_sample_is_there_once(start, stuck):
    STUCK[:] = stuck
    loader = loader_of(start)
    for _ in range(2):
        assert torch.cat(list(start.batches(loader))).tolist() == list(range(7))
    assert not STUCK and all(worker.is_alive() for worker in loader._iterator._workers)


def test_an_epoch_more_begins_with_the_workers_that_are_there(start):
    loader = loader_of(start)
    list(start.batches(loader))
    before = [worker.pid for worker in loader._iterator._workers]
    list(start.batches(loader))
    assert [worker.pid for worker in loader._iterator._workers] == before


def test_where_none_begins_the_last_ones_are_waited_for_as_any_worker_is(start):
    """It may be the machine that is slow; and a loader names workers that give nothing."""
    STUCK[:] = [True, False] * (REPLACED + 1)
    loader = loader_of(start)
    batches = start.batches(loader)
    assert not STUCK and batches is loader._iterator
    number, batch = batches._try_get_data(timeout=60)[1]
    assert (number, batch.tolist()) == (1, [2, 3])  # of the other one
    end(batches._workers)


def test_a_worker_that_ends_before_it_begins_is_told_of_by_the_loader(start, monkeypatch):
    monkeypatch.setattr(worker_start, 'die_with_parent', lambda parent: os._exit(7))
    with pytest.raises(RuntimeError, match=r'DataLoader worker .* exited unexpectedly'):
        list(start.batches(loader_of(start)))
