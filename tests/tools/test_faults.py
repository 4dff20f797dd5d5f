"""What happens to one of the processes of a run ends all of them, soon, with the cause; none is left behind.

Two processes on the CPU train the tiny config by tools/train.py, from a program that lets one of them fail as it is told.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FAULTY = f"""
import os, sys
import torch
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tools')!r}]
import train
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmdet.apis.endings import run

step = EpochBasedRunner.train_iter

def faulty(self, batch):
    if self.iter == 3 and self.rank == 1:
        if fault == 'raise':
            raise ValueError('boom')
        if fault == 'memory':
            torch.empty(2 ** 50)
        if fault == 'leave':
            os._exit(0)
    return step(self, batch)

fault = os.environ.get('FAULT')
if fault:
    EpochBasedRunner.train_iter = faulty
if __name__ == '__main__':
    run(train.main)
"""
# Five trials of each with the slow tests; without them one of two.
trials = pytest.mark.parametrize('trial', [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 5))])
pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='looks for processes in /proc')


def command_line(pid):
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode()
    return ''


def wait_until(true, seconds=90):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it does not come'
        time.sleep(0.05)


class Training:
    """A run of two processes that goes on until something ends it."""

    def __init__(self, process_tree, config, folder, fault='', *options):
        self.descendants, self.stat = process_tree.descendants, process_tree.stat
        script = folder / 'faulty.py'
        script.write_text(FAULTY)
        self.work_dir = folder / 'work'
        words = ['--work-dir', self.work_dir, '--seed', 3, '--gpus', 2, '--device', 'cpu', '--no-validate', '--cfg-options',
                 'runner.max_epochs=100000', 'log_config.interval=1', 'checkpoint_config=None', *options]
        self.program = subprocess.Popen(
            [sys.executable, str(script), str(config), *map(str, words)], cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1', 'FAULT': fault})
        self.seen = []

    def wait_for_steps(self):
        def steps():
            logs = list(self.work_dir.glob('*.log.json'))
            return logs and sum('"mode": "train"' in line for line in logs[0].read_text().splitlines()) >= 3
        wait_until(lambda: steps() or self.program.poll() is not None)
        assert self.program.poll() is None, self.program.stderr.read()
        self.seen = self.descendants(self.program.pid)

    @property
    def ranks(self):
        """Process numbers by rank."""
        started = [pid for pid in self.seen if 'spawn_main' in command_line(pid) and self.stat(pid)[1] == self.program.pid]
        by_rank = {}
        for pid in started:
            words = Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')
            by_rank[int(next(word for word in words if word.startswith(b'RANK='))[5:])] = pid
        return [by_rank[rank] for rank in sorted(by_rank)]

    def workers(self, rank):
        """Process numbers of those that load for a rank."""
        return [pid for pid in self.seen if self.stat(pid) and self.stat(pid)[1] == self.ranks[rank]]

    def end(self, seconds):
        """(status, what it said), when nobody is left; that takes so long at most."""
        started = time.monotonic()
        _, said = self.program.communicate(timeout=seconds)
        wait_until(lambda: not any(map(self.stat, self.seen)), seconds - (time.monotonic() - started))
        return self.program.returncode, said


@pytest.fixture
def training(tiny, tmp_path, process_tree):
    runs = []

    def start(*given):
        runs.append(Training(process_tree, tiny, tmp_path, *given))
        return runs[-1]
    yield start
    for run in runs:
        for pid in [run.program.pid, *run.descendants(run.program.pid), *run.seen]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.program.wait()
        run.program.stderr.close()


@trials
def test_a_rank_that_is_killed(training, trial):
    run = training()
    run.wait_for_steps()
    os.kill(run.ranks[1], signal.SIGKILL)
    status, said = run.end(10)
    assert status == 137 and said.splitlines()[-1].startswith('error: rank 1: was killed by SIGKILL')


@pytest.mark.slow
@trials
def test_a_rank_that_is_stopped(training, trial):
    run = training('', 'dist_params.timeout=6')
    run.wait_for_steps()
    os.kill(run.ranks[1], signal.SIGSTOP)
    status, said = run.end(40)
    assert status == 1 and said.splitlines()[-1].endswith('no sign of life from rank 1: stopped, or stuck')


@trials
def test_a_rank_that_raises(training, trial):
    run = training('raise')
    status, said = run.end(60)
    assert status == 1 and said.splitlines()[-1] == 'error: rank 1: ValueError: boom'
    assert said.count('Traceback') == 1 and 'in faulty' in said


@pytest.mark.slow
@trials
def test_a_rank_that_is_out_of_memory(training, trial):
    run = training('memory')
    status, said = run.end(60)
    assert status == 1 and said.splitlines()[-1].startswith('error: rank 1: RuntimeError: ')
    assert "can't allocate memory" in said.splitlines()[-1] and said.count('Traceback') == 1


@pytest.mark.slow
@trials
def test_a_rank_that_leaves_as_if_all_were_done(training, trial):
    run = training('leave')
    status, said = run.end(60)
    assert status == 1 and said.splitlines()[-1] == 'error: rank 1: ended with exit status 0 while others had more to do'


@pytest.mark.slow
@trials
def test_a_worker_of_a_rank_that_is_stopped(training, trial):
    run = training('', 'data.workers_per_gpu=1', 'dist_params.timeout=10')
    run.wait_for_steps()
    worker, = run.workers(1)
    os.kill(worker, signal.SIGSTOP)
    status, said = run.end(40)
    assert status == 1
    stuck = f'error: rank 1: RuntimeError: DataLoader worker (pid {worker}) gave nothing for 8 s'
    assert said.splitlines()[-1].startswith(stuck)


@pytest.mark.slow
@trials
def test_a_worker_of_a_rank_that_is_killed(training, trial):
    run = training('', 'data.workers_per_gpu=1')
    run.wait_for_steps()
    worker, = run.workers(1)
    os.kill(worker, signal.SIGKILL)
    status, said = run.end(10)
    assert status == 1
    assert said.splitlines()[-1].startswith(f'error: rank 1: RuntimeError: DataLoader worker (pid {worker}) ')
    assert 'killed by' in said.splitlines()[-1]  # by SIGKILL (our words), or by signal: Killed (torch's)


@pytest.mark.slow
@trials
def test_a_launcher_that_is_killed(training, trial):
    run = training('', 'data.workers_per_gpu=1')
    run.wait_for_steps()
    assert len(run.ranks) == 2 and len(run.seen) >= 4
    run.program.kill()
    assert run.end(10)[0] == -signal.SIGKILL


@pytest.mark.slow
@trials
def test_a_rank_without_positives_goes_on(tiny, demo, tmp_path, trial):
    """One picture of 24 has boxes: of two ranks, one or both have none at each step."""
    content = json.loads((demo / 'annotations/instances_train2017.json').read_text())
    content['annotations'] = [box for box in content['annotations'] if box['image_id'] == content['images'][0]['id']]
    (tmp_path / 'one.json').write_text(json.dumps(content))
    words = ['--work-dir', tmp_path / 'work', '--seed', trial, '--gpus', 2, '--device', 'cpu', '--no-validate', '--cfg-options',
             f'data.train.ann_file={tmp_path}/one.json', 'data.train.filter_empty_gt=False', 'data.samples_per_gpu=2',
             'runner.max_epochs=1', 'log_config.interval=1']
    done = subprocess.run([sys.executable, 'tools/train.py', str(tiny), *map(str, words)], cwd=ROOT, capture_output=True,
                          text=True, timeout=90, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    lines = next((tmp_path / 'work').glob('*.log.json')).read_text().splitlines()
    losses = [record['loss'] for record in map(json.loads, lines) if record.get('mode') == 'train']
    assert losses.count(0.0) >= 4 and max(losses) > 0


def test_nothing_listens_beyond_this_machine(training):
    run = training('', 'data.workers_per_gpu=1')
    run.wait_for_steps()
    sockets = set()
    for pid in [run.program.pid, *run.seen]:
        with suppress(FileNotFoundError):
            for descriptor in os.listdir(f'/proc/{pid}/fd'):
                with suppress(FileNotFoundError):
                    sockets.add(os.readlink(f'/proc/{pid}/fd/{descriptor}'))
    listening = []
    for table in ('tcp', 'tcp6'):
        for line in Path(f'/proc/net/{table}').read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == '0A' and f'socket:[{words[9]}]' in sockets:
                listening.append(words[1].split(':')[0])
    assert listening and set(listening) == {'0100007F'}  # 127.0.0.1; gloo's own
