"""Signs of life: who is missing is named, and nobody else."""
from __future__ import annotations

import time

import pytest
import torch.distributed as dist

from mmcv_need.heartbeat import Heartbeat

INTERVAL = 0.2


@pytest.fixture
def hearts():
    """Three processes' hearts on one store."""
    store = dist.HashStore()
    beating = [Heartbeat(store, rank, 3, INTERVAL) for rank in range(3)]
    yield beating
    for heart in beating:
        heart.stop()


def test_while_all_live_nobody_is_missing(hearts):
    assert hearts[0].missing() == '' and hearts[2].missing() == ''


def test_one_that_stops_is_named_with_its_machine(hearts, monkeypatch):
    hearts[1].stop()
    found = hearts[0].missing()
    assert found.startswith('no sign of life from rank 1 on ') and 'rank 2' not in found


def test_one_that_ended_because_of_the_missing_one_is_not_missing(hearts):
    hearts[1].stop()
    assert 'rank 1' in hearts[2].missing()
    hearts[2].stop()
    assert 'rank 2' not in hearts[0].missing()


class OutOfReach:
    """A store behind a cable that is pulled: asking it takes forever, or ends in an error."""

    def __init__(self, store, forever):
        self.store, self.forever = store, forever

    def set(self, key, value):
        if key.startswith('left'):
            time.sleep(60 if self.forever else 0)
            raise RuntimeError('Connection reset by peer')
        self.store.set(key, value)


@pytest.mark.parametrize('forever', [True, False])
def test_where_the_store_is_out_of_reach_the_machine_that_holds_it_is_named(monkeypatch, forever):
    monkeypatch.setenv('MASTER_ADDR', '10.0.0.1')
    monkeypatch.setenv('MASTER_PORT', '29500')
    heart = Heartbeat(OutOfReach(dist.HashStore(), forever), 1, 2, INTERVAL)
    assert heart.missing() == 'no sign of life from the machine of rank 0, 10.0.0.1:29500'
    heart.stop()
