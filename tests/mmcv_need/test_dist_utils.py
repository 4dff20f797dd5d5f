"""Process groups: two gloo processes on this machine, and what is said when a launcher's environment is not there."""
from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmcv_need import dist_utils

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device('cpu')

WORKER = '''
import json, pathlib, sys, time
import numpy as np
import torch
import torch.distributed as dist

sys.path.insert(0, sys.argv[1])
from mmcv_need import dist_utils
from mmcv_need.errors import UserError

cpu = torch.device('cpu')
def throw(error):
    raise error


dist_utils.init_dist('pytorch', 'gloo', timeout=2)  # less than rank 0 takes below
rank, size = dist_utils.get_dist_info()
special = np.array([[-0.0, np.pi], [np.inf, 5e-324], [2.0**53 + 2, 1e308]])
rows = {'unequal': special[:1] if rank == 0 else special, 'none on rank 0': special[:2 * rank],
        'none on rank 1': special[:2 - 2 * rank], 'none at all': special[:0], 'not contiguous': special[:, ::-1]}
answers = {'info': [rank, size], 'int': dist_utils.broadcast_int(2**40 + rank, cpu),
           'mean': dist_utils.mean_over_ranks({'b': 1.0 + rank, 'a': 1e-3}, cpu),
           'mean of nothing': dist_utils.mean_over_ranks({}, cpu)}
norm = torch.nn.BatchNorm1d(2)
norm.running_mean.fill_(5.0 + rank)
norm.weight.data.fill_(5.0 + rank)
dist_utils.broadcast_buffers(norm)
answers['norm'] = [norm.running_mean.tolist(), norm.weight.tolist()]
for name, part in rows.items():
    answers[name] = [[array.tolist(), array.shape, str(array.dtype)] for array in dist_utils.gather_rows(part, cpu)]
plain = {'rank': rank, 'tensors': [torch.arange(3.0) + rank, torch.ones(2, rank, dtype=torch.int64), torch.tensor(True)],
         'place': (None, -1.5, 'x' * 5000 * rank), 'numbers': tuple(range(700)), 'half': torch.full((2,), 0.1).half()}
gathered = dist_utils.gather_plain(plain, cpu)
answers['plain'] = [repr([part, [[str(t.dtype), str(t.device)] for t in part['tensors']]]) for part in gathered]
answers['nothing'] = dist_utils.gather_plain(None, cpu)
start = time.monotonic()
answers['alone'] = [dist_utils.on_rank_0(lambda: time.sleep(3) or rank), dist_utils.on_rank_0(lambda: rank)]
answers['waited'] = time.monotonic() - start >= 3
answers['tensor mean'] = [float(dist_utils.mean_of_ranks(torch.tensor(3 + rank))),
                          bool(dist_utils.any_over_ranks(torch.tensor(rank == 1)))]
answers['failed'] = []
for error in (UserError('no such thing'), OSError(28, 'No space left on device', 'x.pth'), KeyboardInterrupt('now')):
    try:
        dist_utils.on_rank_0(lambda: throw(error))
    except (UserError, OSError, KeyboardInterrupt) as problem:
        answers['failed'].append(f'{type(problem).__name__}: {problem}')
try:
    answers['code'] = str(dist_utils.gather_plain(pathlib.PurePosixPath('/') if rank else 1, cpu))
except Exception as error:
    answers['code'] = type(error).__name__
dist_utils.barrier()
open(f'{sys.argv[2]}/{rank}.json', 'w').write(json.dumps(answers))
dist.destroy_process_group()
'''
SPECIAL = [[-0.0, np.pi], [np.inf, 5e-324], [2.0**53 + 2, 1e308]]  # as in WORKER


@pytest.fixture(scope='module')
def answers(tmp_path_factory, in_two_processes):
    """What each of two processes got."""
    folder = tmp_path_factory.mktemp('gloo')
    in_two_processes(WORKER, folder)
    return [json.loads((folder / f'{rank}.json').read_text()) for rank in range(2)]


def test_each_process_knows_its_rank(answers):
    assert [answer['info'] for answer in answers] == [[0, 2], [1, 2]]


def test_an_int_of_rank_0_reaches_all(answers):
    assert [answer['int'] for answer in answers] == [2**40, 2**40]


def test_running_means_of_rank_0_reach_all_and_weights_stay(answers):
    assert [answer['norm'] for answer in answers] == [[[5.0, 5.0], [5.0, 5.0]], [[5.0, 5.0], [6.0, 6.0]]]


def test_values_are_averaged_over_the_ranks(answers):
    for answer in answers:
        assert list(answer['mean'].items()) == [('b', 1.5), ('a', 1e-3)]
        assert answer['mean of nothing'] == {}


@pytest.mark.parametrize('name, parts', [
    ('unequal', [SPECIAL[:1], SPECIAL]), ('none on rank 0', [[], SPECIAL[:2]]), ('none on rank 1', [SPECIAL[:2], []]),
    ('none at all', [[], []]), ('not contiguous', [[row[::-1] for row in SPECIAL]] * 2)])
def test_rows_of_all_ranks_come_in_rank_order_and_to_the_last_bit(answers, name, parts):
    expected = [[part, [len(part), 2], 'float64'] for part in parts]
    for answer in answers:
        assert repr(answer[name]) == repr(expected)  # repr tells -0.0 from 0.0


def test_plain_data_and_tensors_of_all_ranks_reach_all_in_rank_order(answers):
    expected = []
    for rank in range(2):
        tensors = [torch.arange(3.0) + rank, torch.ones(2, rank, dtype=torch.int64), torch.tensor(True)]
        plain = {'rank': rank, 'tensors': tensors, 'place': (None, -1.5, 'x' * 5000 * rank), 'numbers': tuple(range(700)),
                 'half': torch.full((2,), 0.1).half()}
        expected.append(repr([plain, [['torch.float32', 'cpu'], ['torch.int64', 'cpu'], ['torch.bool', 'cpu']]]))
    assert [answer['plain'] for answer in answers] == [expected, expected]
    assert [answer['nothing'] for answer in answers] == [[None, None]] * 2


def test_the_others_wait_for_what_rank_0_does_alone_longer_than_for_a_collective(answers):
    assert [answer['alone'] for answer in answers] == [[0, 0], [None, None]]
    assert all(answer['waited'] for answer in answers)


def test_what_rank_0_cannot_do_ends_all(answers):
    first, second = (answer['failed'] for answer in answers)
    assert first == ['UserError: no such thing', "OSError: [Errno 28] No space left on device: 'x.pth'",
                     'KeyboardInterrupt: now']
    assert second == ['PeerError: rank 0 cannot go on; see what it says'] * 3


def test_values_and_flags_on_the_device_are_shared(answers):
    assert [answer['tensor mean'] for answer in answers] == [[3.5, True]] * 2


def test_what_is_not_plain_data_is_not_made_of_what_another_rank_sent(answers):
    assert [answer['code'] for answer in answers] == ['Refused'] * 2


# One process


def test_a_single_process_needs_no_group(monkeypatch):
    rows = np.ones((2, 3))
    assert dist_utils.get_dist_info() == (0, 1)
    assert dist_utils.gather_rows(rows, CPU)[0] is rows
    assert dist_utils.gather_plain(rows, CPU)[0] is rows
    assert dist_utils.mean_over_ranks({'a': 1.5}, CPU) == {'a': 1.5}
    assert dist_utils.broadcast_int(3, CPU) == 3
    dist_utils.barrier()
    dist_utils.leave_dist()


def test_a_process_that_is_done_leaves_its_group(tmp_path):
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    dist_utils.leave_dist()
    assert not torch.distributed.is_initialized()


LEAVING = '''
import os, sys, time
import torch

sys.path.insert(0, sys.argv[1])
from mmcv_need import dist_utils


def threads():
    return set(os.listdir('/proc/self/task')) - before


before = set()
before = threads()
dist_utils.init_dist('pytorch', 'gloo')
assert threads()
torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)  # which imports more of torch than anything before
dist_utils.broadcast_int(1, torch.device('cpu'))
dist_utils.leave_dist()
end = time.monotonic() + 30
while threads() and time.monotonic() < end:
    time.sleep(0.01)
assert not threads()
'''


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='looks for threads in /proc')
def test_no_thread_of_a_group_that_was_left_stays(tmp_path, in_two_processes):
    """One that works while Python ends aborts the process."""
    in_two_processes(LEAVING, tmp_path)


LATE = f'''
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
import torch.distributed as dist
from mmcv_need import dist_utils
wait = dist.PrefixStore.wait

def read_late(store, *given):
    wait(store, *given)
    time.sleep(1)

dist_utils.init_dist('mpi', 'gloo', 20)
if dist.get_rank() == 1:
    dist.PrefixStore.wait = read_late
dist_utils.on_rank_0(lambda: None)
dist_utils.leave_dist()
'''


def test_rank_0_who_has_the_store_leaves_last():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        port = str(listener.getsockname()[1])
    given = {**os.environ, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port, 'OMPI_COMM_WORLD_SIZE': '2'}
    given.pop('RANK_STORE_FILE', None)
    both = [subprocess.Popen([sys.executable, '-c', LATE], stderr=subprocess.PIPE, text=True,
                             env={**given, 'OMPI_COMM_WORLD_RANK': rank}) for rank in '01']
    said = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said


@pytest.mark.parametrize('rank, waited', [(0, [['farewell 0'], ['farewell 1'], ['farewell 2']]), (1, [])])
def test_rank_0_waits_for_one_farewell_at_a_time(monkeypatch, rank, waited):
    """The store of torch 1.8 may not see the last of several keys, and the wait would take its 30 seconds."""
    keys, said = [], []
    store = SimpleNamespace(set=lambda key, value: said.append(key), wait=lambda wanted, patience: keys.append(wanted))
    monkeypatch.setattr(dist_utils, 'get_dist_info', lambda: (rank, 3))
    dist_utils._Group(store, 1.0, None).say_farewell()
    assert keys == waited and said == [f'farewell {rank}']
