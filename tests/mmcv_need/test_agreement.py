"""What one rank wants, all learn at the same iteration; none waits for its device. Long work is left by all together."""
from __future__ import annotations

import json

import pytest
import torch

from mmcv_need import agreement
from mmcv_need.agreement import Interrupted, LaterAgreement, until_asked
from mmcv_need.stop_signals import StopWish

CPU = torch.device('cpu')

WORKER = '''
import json, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from mmcv_need import agreement, dist_utils
from mmcv_need.agreement import Interrupted, LaterAgreement, until_asked
from mmcv_need.stop_signals import StopWish

dist_utils.init_dist('pytorch', 'gloo')
rank, _ = dist_utils.get_dist_info()
later = LaterAgreement(torch.device('cpu'))
heard = [later(step == 2 and rank == 1) for step in range(6)]
later.finish()
agreement.LOOK = 0.1

def work(asked_at, batches, pause):
    """How many batches this rank did, and whether it was interrupted."""
    wish, done = StopWish(), 0
    try:
        for done, _ in enumerate(until_asked(range(batches), wish, torch.device('cpu')), 1):
            time.sleep(pause)
            if done == asked_at:
                wish.number = 15
    except Interrupted:
        return [done, True]
    return [done, False]

whole = work(None, 3 + rank, 0.01)
left = work(2 if rank == 1 else None, 10000, 0.01)  # rank 0 only hears of it
json.dump([heard, whole, left], open(f'{sys.argv[2]}/{rank}.json', 'w'))
dist_utils.leave_dist()
'''


def test_two_ranks(tmp_path, in_two_processes):
    in_two_processes(WORKER, tmp_path)
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2))
    assert first[0] == second[0] == [False, False, False, False, True, False]  # two calls later, once
    assert first[1] == [3, False] and second[1] == [4, False]
    assert first[2][1] and second[2] == [2, True] and first[2][0] < 10000


def test_alone_the_answer_is_that_of_the_call():
    later = LaterAgreement(CPU)
    assert [later(answer) for answer in (False, True, False)] == [False, True, False]
    later.finish()


def test_nothing_is_asked_of_the_device_before_two_calls_later(monkeypatch):
    """A value of the meta device cannot be had at all."""
    sums, read = [], []

    def start(count):
        sums.append(count)
        return lambda: count
    monkeypatch.setattr(agreement, 'get_dist_info', lambda: (0, 2))
    monkeypatch.setattr(agreement, 'start_sum_over_ranks', start)
    monkeypatch.setattr(agreement, 'read_later', lambda flag: lambda: bool(read.append(flag)))
    later = LaterAgreement(torch.device('meta'))
    for calls, been_read in ((1, 0), (2, 0), (3, 1), (4, 2)):
        later(True)
        assert (len(sums), len(read)) == (calls, been_read)


@pytest.mark.parametrize('asked_at, done', [(0, 0), (1, 1), (4, 4)])
def test_alone_work_is_left_after_the_batch_in_which_it_was_asked(asked_at, done):
    wish, seen = StopWish(), []
    wish.number = 15 if asked_at == 0 else None
    with pytest.raises(Interrupted):
        for batch in until_asked(range(5), wish, CPU):
            seen.append(batch)
            wish.number = 15 if len(seen) == asked_at else None
    assert len(seen) == done


def test_work_that_is_done_is_not_interrupted():
    assert list(until_asked(range(5), StopWish(), CPU)) == [0, 1, 2, 3, 4]
