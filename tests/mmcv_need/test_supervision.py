"""What the launcher says of the ends of its processes, and when it ends those that stay."""
from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from mmcv_need import supervision
from mmcv_need.failures import Failure
from mmcv_need.supervision import Ended, verdict_of, wait_for_all

INT, TERM, USR1, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP
BOOM, LOST = Failure(1.0, 'boom', '', 2, False), Failure(0.5, 'closed by peer', '', 1, True)


@pytest.mark.parametrize('codes, asked, left, resumable, status, line', [
    ([0, 0], [], {}, 75, 0, ''),
    ([75, 75], [], {}, 75, 75, ''),
    ([0, 75], [], {}, 75, 75, ''),
    ([75, 75], [TERM], {}, 75, 75, 'stopped by SIGTERM'),
    ([75, 1], [USR1], {1: LOST}, 75, 75, 'stopped by SIGUSR1'),  # it left before the other
    ([75, 1], [], {1: LOST}, 75, 75, ''),  # one of them was asked
    ([75, -9], [TERM], {}, 75, 75, 'stopped by SIGTERM'),  # the other one did not react
    ([130, 130], [INT], {}, 75, 130, 'interrupted'),
    ([75, 130], [], {}, 75, 130, 'interrupted'),
    ([130, -2], [INT], {}, None, 130, 'interrupted'),
    ([-15, -15], [TERM], {}, None, 143, 'ended by SIGTERM'),
    ([-1, -1], [HUP], {}, 75, 129, 'ended by SIGHUP'),
    ([], [TERM], {}, 75, 75, 'stopped by SIGTERM'),
    ([], [TERM], {}, None, 143, 'ended by SIGTERM'),
    ([], [HUP], {}, 75, 129, 'ended by SIGHUP'),
    ([2, 1], [], {0: BOOM, 1: LOST}, 75, 2, 'error: boom'),
    ([2, 130], [INT], {0: BOOM}, 75, 2, 'error: boom'),  # a failure, and then Ctrl-C
    ([2, 1], [TERM], {0: BOOM, 1: LOST}, 75, 2, 'error: boom'),  # what should have been saved was not
    ([-11, 75], [TERM], {}, 75, 139, 'error: rank 0: was killed by SIGSEGV'),
    ([75, 75], [], {}, None, 75, 'error: rank 0: ended with exit status 75 without a word'),
])
def test_what_is_said(tmp_path, codes, asked, left, resumable, status, line):
    files = [str(tmp_path / f'{rank}.json') for rank in range(2)]
    for rank, failure in left.items():
        (tmp_path / f'{rank}.json').write_text(json.dumps({'failure': failure._asdict()}))
    silent = {rank for rank, code in enumerate(codes) if code == -9}
    ended = Ended({rank: 2.0 + rank for rank in range(2)}, set(), silent)
    assert verdict_of(codes, files, ended, asked, resumable) == (status, line)


class Process:
    """A child as multiprocessing's: it says when it is ready, and ends with a status when it likes to."""

    def __init__(self, code):
        self.process = subprocess.Popen([sys.executable, '-c', f"import signal, sys, time\n{code}"], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.pid, self.sentinel = self.process.pid, self.process.stdout.fileno()

    exitcode = property(lambda self: self.process.poll())

    def is_alive(self):
        return self.exitcode is None


DEAF = "signal.signal(15, lambda *_: None); print(flush=True)\nwhile True: time.sleep(1)"
ENDS = "print(flush=True); time.sleep(0.1); sys.exit({})"


@pytest.fixture
def started(monkeypatch):
    """Starts processes; the launcher's patience is a second, and a minute for a user's signal."""
    for name, seconds in (('LOOK', 0.05), ('SETTLE', 0.5), ('LAST_WORDS', 0.5), ('GRACE', 60.0)):
        monkeypatch.setattr(supervision, name, seconds)
    processes = []

    def start(*codes):
        processes.extend(map(Process, codes))
        return processes
    yield start
    for process in processes:
        process.process.kill()
        process.process.wait()
        process.process.stdout.close()


@pytest.mark.parametrize('status', [1, 75, 130])
def test_whoever_ends_before_it_is_done_ends_the_others(started, status):
    processes = started(ENDS.format(status), DEAF)
    ended = wait_for_all(processes, [])
    assert [process.exitcode for process in processes] == [status, -9] and ended.silent == {1}


def test_one_that_is_done_is_no_reason_to_end_the_others(started):
    processes = started(ENDS.format(0), 'print(flush=True); time.sleep(2.5)')
    wait_for_all(processes, [])
    assert [process.exitcode for process in processes] == [0, 0]


def test_further_signals_do_not_put_the_end_off(started, monkeypatch):
    monkeypatch.setattr(supervision, 'GRACE', 1.5)
    asked = [TERM]
    looked = supervision.wait

    def wait(*given, **settings):
        asked.append(TERM)  # at every look
        return looked(*given, **settings)
    monkeypatch.setattr(supervision, 'wait', wait)
    begun = time.monotonic()
    ended = wait_for_all(started(DEAF), asked)
    assert ended.silent == {0} and time.monotonic() - begun < 30


def test_a_signal_after_a_failure_does_not_put_the_end_off(started, monkeypatch):
    asked, looked = [], supervision.wait

    def wait(*given, **settings):
        result = looked(*given, **settings)
        if processes[0].exitcode is not None and not asked:
            asked.append(TERM)
        return result
    monkeypatch.setattr(supervision, 'wait', wait)
    processes = started(ENDS.format(1), DEAF)
    begun = time.monotonic()
    wait_for_all(processes, asked)
    assert asked and time.monotonic() - begun < 30


def test_a_second_interrupt_ends_all_at_once(started):
    processes = started('signal.signal(2, lambda *_: None)\n' + DEAF)
    ended = wait_for_all(processes, [INT, INT])
    assert processes[0].exitcode == -9 and ended.by_us == {0}
    assert verdict_of([-9], ['nowhere'], ended, [INT, INT], 75) == (130, 'interrupted')


def test_a_process_that_is_gone_when_a_signal_comes(started):
    gone = SimpleNamespace(pid=-1, is_alive=lambda: False)
    assert supervision.send([gone], Ended({}, set(), set()), TERM) == []
