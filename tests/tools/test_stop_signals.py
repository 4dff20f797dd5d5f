"""Signals that ask a training to stop: it saves, says so by its status, leaves nobody, and the same command goes on exactly.

Most trials are those of stop_trials.py.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='looks for processes in /proc')


def trials(tiny, folder, **wanted):
    """What became of so many trials of each kind."""
    words = [f'{kind}={count}' for kind, count in wanted.items()]
    done = subprocess.run([sys.executable, str(ROOT / 'tests/tools/stop_trials.py'), str(tiny), str(folder), *words],
                          capture_output=True, text=True, timeout=900, check=False,
                          env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / 'results.json').read_text())


@pytest.fixture(scope='module')
def few(tiny, tmp_path_factory):
    return trials(tiny, tmp_path_factory.mktemp('few'), interrupt=2, interrupt_twice=2, evaluating=2, starting=4)


def check_stopped(results, status):
    """Each was saved, ended so, left nobody, and was gone on with to the bits of an unbroken run."""
    for found in results:
        assert (found['status'], found['left'], found['torn'], found['traceback']) == (status, 0, [], False), found
        assert len(found['checkpoints']) == 1 or found['checkpoints'][-1].startswith('iter_'), found
        assert found['identical'] and found['seconds'] < 10, found
    assert {found['ranks'] for found in results} == {1, 2}


def test_a_signal_of_a_batch_system_saves(tiny, tmp_path):
    check_stopped(trials(tiny, tmp_path, stop=2)['stop'], 75)


@pytest.mark.slow
def test_an_interrupt_saves_and_says_how_to_leave_at_once(few):
    check_stopped(few['interrupt'], 130)
    for found in few['interrupt']:
        told = [line for line in found['said'] if 'interrupted: it saves a checkpoint' in line]
        assert len(told) == 1 and 'Ctrl-C again leaves at once' in told[0], found


@pytest.mark.slow
def test_a_second_interrupt_leaves_at_once(few):
    for found in few['interrupt_twice']:
        assert (found['status'], found['left'], found['checkpoints'], found['traceback']) == (130, 0, [], False), found


@pytest.mark.slow
def test_an_evaluation_is_left_on_all_ranks_and_done_by_whoever_goes_on(few):
    check_stopped(few['evaluating'], 75)
    assert [(found['evaluated'], found['checkpoints']) for found in few['evaluating']] == [(False, ['epoch_1.pth'])] * 2


@pytest.mark.slow
def test_before_the_first_step_a_signal_leaves_at_once(few):
    assert [(found['status'], found['left'], found['steps'], found['traceback']) for found in few['starting']] == [
        (75, 0, 0, False), (75, 0, 0, False), (130, 0, 0, False), (130, 0, 0, False)]
    assert [found['said'][-1] for found in few['starting']] == ['stopped by SIGTERM'] * 2 + ['interrupted'] * 2


@pytest.mark.slow
def test_20_of_20_signals_at_random_moments_to_whom_they_may_reach_save(tiny, tmp_path):
    results = trials(tiny, tmp_path, stop=20)['stop']
    check_stopped(results, 75)
    assert len(results) == 20
    assert {found['target'] for found in results} == {'program', 'group', '0', '1'}
    print(f"{len(results)} stopped after {[found['steps'] for found in results]} steps, gone in "
          f"{max(found['seconds'] for found in results):.1f} s at most")


@pytest.mark.slow
def test_20_launchers_that_are_killed_leave_no_orphan(tiny, tmp_path):
    results = trials(tiny, tmp_path, orphans=20)['orphans']
    assert [(found['status'], found['left']) for found in results] == [(-signal.SIGKILL, 0)] * 20
    print(f"20 killed, nobody left after {max(found['seconds'] for found in results):.2f} s at most")


class Program:
    """A command of its own, as it is started from a shell."""

    def __init__(self, words, cwd=ROOT):
        self.process = subprocess.Popen(list(map(str, words)), cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})

    def wait_for_steps(self, work_dir, seconds=120):
        end = time.monotonic() + seconds
        while not any('"train"' in path.read_text() for path in work_dir.glob('*.log.json')):
            assert time.monotonic() < end and self.process.poll() is None, self.ended()
            time.sleep(0.05)

    def ended(self):
        try:
            _, said = self.process.communicate(timeout=60)
            return self.process.returncode, said
        finally:
            self.process.kill()


def test_a_signal_while_the_program_imports_torch_ends_it_as_one_that_can_go_on(tiny, tmp_path):
    program = Program([sys.executable, '-X', 'importtime', 'tools/train.py', tiny, '--work-dir', tmp_path / 'work'])
    for line in program.process.stderr:
        if line.endswith(' mmcv_need.stop_signals\n'):
            break
    program.process.stderr.readline()  # the next import is done, so handlers are set
    program.process.send_signal(signal.SIGTERM)
    status, said = program.ended()
    assert status == 75 and said.splitlines()[-1] == 'stopped by SIGTERM'
    assert not (tmp_path / 'work').exists()


@pytest.mark.slow
def test_two_processes_that_are_started_anew(tiny, tmp_path):
    words = [sys.executable, 'tools/train.py', tiny, '--work-dir', tmp_path / 'work', '--gpus', 2, '--device', 'cpu',
             '--no-validate', '--cfg-options', 'log_config.interval=1', 'runner.max_epochs=100000']
    program = Program(words)
    program.wait_for_steps(tmp_path / 'work')
    program.process.send_signal(signal.SIGUSR1)
    status, said = program.ended()
    assert status == 75 and said.splitlines()[-1] == 'stopped by SIGUSR1'
    assert (tmp_path / 'work/latest.pth').exists() and not (tmp_path / 'work/finished.json').exists()


@pytest.mark.slow
def test_the_script_for_one_card_saves_when_it_is_asked_to_end_and_goes_on_when_it_is_started_again(clone, demo, tiny):
    config, work_dir = clone / 'tiny.py', clone / 'work_dirs/tiny'
    config.write_text(tiny.read_text() + 'log_config = dict(interval=1)\n')
    words = ['bash', 'test/train_full_1p.sh', f'--data_path={demo}', f'--config={config}', '--device=cpu']
    program = Program([*words, '--train_epochs=100000'], clone)
    program.wait_for_steps(work_dir)
    program.process.send_signal(signal.SIGTERM)
    status, said = program.ended()
    assert status == 75 and said.splitlines()[-1].endswith('it was stopped before its end, and can go on')
    assert (work_dir / 'latest.pth').exists() and not list(work_dir.glob('*.tmp.*'))
    log = (clone / 'test/output/0/train_0.log').read_text()
    assert 'stopping: SIGTERM asked for it' in log
    again = subprocess.run([*words, '--train_epochs=1'], cwd=clone, capture_output=True, text=True, check=False)
    assert 'resumed epoch ' in again.stdout
