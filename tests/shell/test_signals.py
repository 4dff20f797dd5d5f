"""A signal to a script reaches the training; the script waits for it, passes its status on, and leaves no process behind."""
from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time

import pytest


def wait_until(condition, seconds=60):
    """What the condition gives once that is true; a script that never gets there ends the test."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
    return condition()


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f'/proc/{process}/stat') if os.path.isdir('/proc/self') else open(os.devnull) as stat:
        return ') Z ' not in stat.read()


@pytest.fixture
def started(cards):
    """Starts a script whose training waits, in a session of its own; gives (script, process of training, path of output)."""
    scripts = []

    def start(script='train_full_1p', status=75):
        said = cards / 'said.txt'
        with open(said, 'w') as file:
            scripts.append(subprocess.Popen(
                ['bash', f'test/{script}.sh', '--data_path=shapes'], cwd=cards, stdout=file, stderr=file,
                start_new_session=True, env={**os.environ, 'STAND_IN': f'wait:{status}'}))
        found = wait_until(lambda: re.search(r'waiting (\d+)', said.read_text()))
        return scripts[-1], int(found.group(1)), said
    yield start
    for script in scripts:
        script.kill()
        script.wait()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize('script', ['train_full_1p', 'train_full_8p', 'train_performance_multinodes', 'train_eval_8p'])
def test_a_signal_reaches_the_training_once_and_its_status_is_the_scripts(started, script, number):
    process, training, said = started(script)
    process.send_signal(number)
    assert process.wait(timeout=60) == 75
    assert said.read_text().count(f'got signal {int(number)}\n') == 1
    assert 'ended with exit status 75: it was stopped before its end, and can go on' in said.read_text()
    assert 'Final' not in said.read_text()
    assert not alive(training)


def test_a_signal_to_the_whole_group_does_not_cut_off_the_last_words(started):
    process, training, said = started(status=3)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 3
    assert said.read_text().count('got signal 15\n') == 1
    assert not alive(training)


def test_a_training_that_is_killed_ends_the_script(started):
    process, training, said = started()
    os.kill(training, signal.SIGKILL)
    assert process.wait(timeout=60) == 137
    assert 'ended with exit status 137: signal 9' in said.read_text()


def test_a_training_that_is_stopped_and_goes_on_is_waited_for(started):
    process, training, _ = started(status=4)
    os.kill(training, signal.SIGSTOP)
    os.kill(training, signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 4


@pytest.mark.skipif(shutil.which('setpriv') is None, reason='needs setpriv of util-linux')
def test_a_script_that_is_killed_outright_leaves_no_training(started):
    process, training, said = started()
    process.kill()
    process.wait()
    wait_until(lambda: not alive(training))
    assert 'got signal 15\n' in said.read_text()


def test_the_output_is_complete_on_screen_and_in_the_log(cards, run):
    (cards / 'tools/train.py').write_text(
        "import sys\nfor i in range(20000):\n    print('line', i)\nprint('last', file=sys.stderr)\nsys.exit(5)\n")
    result = run('bash', 'test/train_full_8p.sh', '--data_path=shapes', cwd=cards)
    assert result.returncode == 5
    expected = ''.join(f'line {i}\n' for i in range(20000)) + 'last\n'
    assert result.stdout == expected == (cards / 'test/output/0/train_0.log').read_text()


@pytest.mark.slow
def test_a_process_that_outlives_the_training_does_not_hold_the_script(cards, run):
    (cards / 'tools/train.py').write_text(
        "import subprocess, sys\nprint(subprocess.Popen(['sleep', '300']).pid, flush=True)\nsys.exit(6)\n")
    result = run('bash', 'test/train_full_8p.sh', '--data_path=shapes', cwd=cards)
    os.kill(int(result.stdout), signal.SIGKILL)
    assert result.returncode == 6
    assert 'something that was started still holds the output' in result.stderr
