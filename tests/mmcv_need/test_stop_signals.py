"""Signals that ask a run to stop: first they end the program, then they are noted, afterwards they are as before."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mmcv_need.stop_signals import SIGNALS, StopWish, held_back, listening

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def usual():
    """The handlers of a program that nobody started in the background."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize('number, status', [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_signal_is_noted_once_a_run_has_begun(number, status):
    wish = StopWish()
    with listening(wish):
        wish.begin(saves=True)
        assert wish.number is None and wish.status == 75
        send(number)
    assert (wish.number, wish.status) == (number, status)
    assert wish.reason == f'{number.name} asked for it'


def test_the_first_signal_counts():
    wish = StopWish()
    with listening(wish):
        wish.begin(saves=True)
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGINT)
    assert wish.number == signal.SIGTERM


def test_an_interrupt_says_what_happens_and_the_next_one_is_what_it_was_before(capfd):
    wish = StopWish()
    with listening(wish):
        wish.begin(saves=True)
        send(signal.SIGINT)
        assert capfd.readouterr().err == ('interrupted: it saves a checkpoint and ends; Ctrl-C again leaves at once, without '
                                          'one\n')
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_handlers_are_those_from_before_until_it_begins_and_when_it_ends():
    before = [signal.getsignal(number) for number in SIGNALS]
    wish = StopWish()
    with pytest.raises(ValueError, match='something else'), listening(wish):
        assert [signal.getsignal(number) for number in SIGNALS] == before
        wish.begin(saves=True)
        assert not set(map(signal.getsignal, SIGNALS)) & set(before)
        raise ValueError('something else')
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_a_run_that_is_not_saved_signals_are_those_of_any_program():
    wish = StopWish()
    with listening(wish):
        wish.begin(saves=False)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert wish.number is None


def test_a_signal_that_was_ignored_stays_ignored():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    wish = StopWish()
    with listening(wish):
        wish.begin(saves=True)
        send(signal.SIGUSR1)
    assert wish.number is None


def test_in_another_thread_nothing_is_changed():
    before, wish = signal.getsignal(signal.SIGTERM), StopWish()
    thread = threading.Thread(target=wish.begin, args=(True,))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_held_back_comes_later():
    wish = StopWish()
    with listening(wish):
        wish.begin(saves=True)
        with held_back(SIGNALS):
            send(signal.SIGTERM)
            assert wish.number is None
        assert wish.number == signal.SIGTERM


STARTING = '''
import os, signal, sys
from mmcv_need.stop_signals import leave_at_once
signal.signal(signal.SIGINT, signal.default_int_handler)
leave_at_once()
if sys.argv[1] == 'child':
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    sys.exit(os.WTERMSIG(os.waitpid(child, 0)[1]))
try:
    os.kill(os.getpid(), int(sys.argv[1]))
finally:
    print('not at once')
'''


@pytest.mark.parametrize('argument, status, said', [
    (signal.SIGTERM, 75, 'stopped by SIGTERM\n'), (signal.SIGUSR1, 75, 'stopped by SIGUSR1\n'),
    (signal.SIGINT, 130, 'interrupted\n'), ('child', signal.SIGTERM, '')])
def test_before_it_has_begun_a_signal_ends_the_program_at_once(argument, status, said):
    word = argument if isinstance(argument, str) else str(int(argument))
    done = subprocess.run([sys.executable, '-c', STARTING, word], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, '', said)


def test_it_imports_nothing_that_takes_time():
    code = "import sys, mmcv_need.stop_signals; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout == 'False False\n'
