"""Several processes of one program: all end, whatever happens to one of them, and the first that failed is named."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = f"""
import os, signal, subprocess, sys, time
sys.path.insert(0, {str(ROOT)!r})
from mmcv_need import failures, launch, supervision

supervision.SETTLE, supervision.LAST_WORDS = 0.5, 1.0  # long enough for these
def work(arguments):
    rank, folder, (what, *more) = int(os.environ['RANK']), arguments[0], arguments[1:]
    child = subprocess.Popen(['sleep', '600'])  # as a loader's worker, of one that does not look after it
    with open(os.path.join(folder, f'{{rank}}.part'), 'w') as file:
        print(os.getpid(), child.pid, os.environ['OMP_NUM_THREADS'], os.environ['WORLD_SIZE'], file=file)
    os.rename(os.path.join(folder, f'{{rank}}.part'), os.path.join(folder, f'{{rank}}.pid'))
    if what == 'end':
        while any(not os.path.exists(os.path.join(folder, f'{{other}}.pid')) for other in range(3)):
            time.sleep(0.02)  # or the launcher ends one that has only just started
        return int(more[rank])
    if what == 'raise' and rank == 1:
        failures.leave(failures.failure_of(ValueError('boom'), 1))
        return 1
    if what == 'lose' and rank != 1:
        while not os.path.exists(os.path.join(folder, 'lost')):
            time.sleep(0.02)
        failures.leave(failures.failure_of(RuntimeError('Timed out waiting 8000ms for recv'), 1))
        return 1
    if what == 'save':
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    time.sleep(600)

if __name__ == '__main__':
    sys.exit(launch.launch(work, sys.argv[1:], 3, 75 if os.environ['RESUMABLE'] else None))
"""


@pytest.fixture
def started(tmp_path):
    """Starts the program; returns it and a function that waits for its processes and gives their numbers by rank."""
    script = tmp_path / 'program.py'
    script.write_text(PROGRAM)
    programs = []

    def start(*arguments, under=(), resumable=True, own_group=False):
        command = [*under, sys.executable, str(script), str(tmp_path), *arguments]
        programs.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts,
                                         start_new_session=own_group,
                                         env={**os.environ, 'OMP_NUM_THREADS': '1', 'TMPDIR': str(tmp_path),
                                              'RESUMABLE': 'yes' * resumable}))

        def pids():
            files = [tmp_path / f'{rank}.pid' for rank in range(3)]
            wait_until(lambda: all(file.exists() for file in files))
            return [list(map(int, file.read_text().split()[:2])) for file in files]
        return programs[-1], pids
    yield start
    for program in programs:
        program.kill()
        program.wait()
        program.stderr.close()
    for file in tmp_path.glob('*.pid'):
        for pid in map(int, file.read_text().split()[:2]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def heed_interrupts():
    """A shell starts what it runs in the background deaf to them: these tests, perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it does not come'
        time.sleep(0.02)


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def finished(program):
    """(status, what it said) at its end."""
    _, said = program.communicate(timeout=60)
    return program.returncode, said


pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='looks for processes in /proc')


@pytest.mark.parametrize('statuses, status', [('000', 0), ('757575', 75), ('0750', 75)])
def test_all_end_well(started, statuses, status):
    ends = {'000': '0 0 0', '757575': '75 75 75', '0750': '0 75 0'}[statuses].split()
    program, pids = started('end', *ends)
    assert finished(program) == (status, '')
    assert not any(alive(pid) for pair in pids() for pid in pair)


def test_one_that_raises_is_named_and_the_others_end(started):
    program, pids = started('raise')
    everyone = pids()
    status, said = finished(program)
    assert status == 1 and said.splitlines()[-1] == 'error: rank 1: ValueError: boom'
    assert not any(alive(pid) for pair in everyone for pid in pair)


@pytest.mark.parametrize('number, status', [(signal.SIGKILL, 137), (signal.SIGSEGV, 139)])
def test_one_that_is_killed_is_named_and_the_others_end(started, number, status):
    program, pids = started('sleep')
    everyone = pids()
    os.kill(everyone[2][0], number)
    found, said = finished(program)
    assert found == status and said.startswith(f'error: rank 2: was killed by {number.name}')
    assert not any(alive(pid) for pair in everyone for pid in pair)


def test_one_that_leaves_without_a_word_is_named(started):
    program, _ = started('end', '0', '0', '9')
    assert finished(program) == (9, 'error: rank 2: ended with exit status 9 without a word\n')


@pytest.mark.slow
def test_one_that_is_stopped_is_named_by_those_that_wait_for_it(started, tmp_path):
    program, pids = started('lose')
    everyone = pids()
    os.kill(everyone[1][0], signal.SIGSTOP)
    (tmp_path / 'lost').touch()
    status, said = finished(program)
    assert status == 1 and said.endswith('no sign of life from rank 1: stopped, or stuck\n')
    assert 'Timed out waiting' in said
    assert not any(alive(pid) for pair in everyone for pid in pair)


@pytest.mark.parametrize('number, resumable, status, line', [
    (signal.SIGINT, False, 130, 'interrupted'), (signal.SIGTERM, False, 143, 'ended by SIGTERM'),
    (signal.SIGUSR1, True, 75, 'stopped by SIGUSR1'), (signal.SIGINT, True, 130, 'interrupted')])
def test_a_signal_to_the_launcher_reaches_all(started, tmp_path, number, resumable, status, line):
    program, pids = started('sleep', resumable=resumable)
    everyone = pids()
    program.send_signal(number)
    assert finished(program) == (status, f'{line}\n')
    assert not any(alive(pid) for pair in everyone for pid in pair)
    assert not list(tmp_path.glob('ranks_*'))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_that_are_starting_ends_them_without_a_traceback(started, tmp_path, number):
    """As by Ctrl-C: it reaches whoever is in the launcher's group, and the launcher passes it on."""
    program, _ = started('sleep', own_group=True)
    wait_until(lambda: list(tmp_path.glob('ranks_*')))
    time.sleep(1)  # they import torch
    os.killpg(program.pid, number)
    assert finished(program) == ((130, 'interrupted\n') if number == signal.SIGINT else (75, 'stopped by SIGTERM\n'))
    assert not list(tmp_path.glob('ranks_*'))


@pytest.mark.slow
def test_a_signal_that_the_launcher_was_started_to_ignore_ends_nothing(started):
    program, pids = started('sleep', under=['sh', '-c', "trap '' HUP; exec \"$@\"", 'nohup'])
    everyone = pids()
    program.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert program.poll() is None and all(alive(pair[0]) for pair in everyone)
    program.send_signal(signal.SIGTERM)
    assert finished(program) == (75, 'stopped by SIGTERM\n')


@pytest.mark.slow
def test_processes_that_save_when_they_are_asked_to_end_are_waited_for(started):
    program, pids = started('save')
    pids()
    time.sleep(0.3)  # from the file to the handler
    program.send_signal(signal.SIGTERM)
    assert finished(program) == (75, 'stopped by SIGTERM\n')


def test_nobody_outlives_a_launcher_that_is_killed(started):
    program, pids = started('sleep')
    ranks = [pair[0] for pair in pids()]
    os.kill(ranks[1], signal.SIGSTOP)  # not even one that cannot react
    program.kill()
    wait_until(lambda: not any(alive(pid) for pid in ranks), seconds=10)
