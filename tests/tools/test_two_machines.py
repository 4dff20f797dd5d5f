"""Two machines, as two network namespaces joined by a cable (veth), with two processes each.

Needs root and the program `ip` (Debian's iproute2); .ci/run sees to it that it is there.
"""
from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 10  # seconds that a process waits for the others
ADDRESSES = ('10.77.0.1', '10.77.0.2')
NAMES = [f'ssd{os.getpid() % 10000}{side}' for side in 'ab']  # of the machines, and of their ends of the cable

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    shutil.which('ip') is None or not hasattr(os, 'geteuid') or os.geteuid() != 0,
    reason='needs root and iproute2 to make network namespaces')]


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True, text=True)


@pytest.fixture
def machines():
    """Makes both; what is left of their processes is killed, and they are removed, at the end."""
    try:
        for name in NAMES:
            ip('netns', 'add', name)
        ip('link', 'add', NAMES[0], 'netns', NAMES[0], 'type', 'veth', 'peer', 'name', NAMES[1], 'netns', NAMES[1])
        for name, address in zip(NAMES, ADDRESSES):
            ip('-n', name, 'addr', 'add', f'{address}/24', 'dev', name)
            ip('-n', name, 'link', 'set', 'lo', 'up')
            ip('-n', name, 'link', 'set', name, 'up')
        yield NAMES
    finally:
        for name in NAMES:
            done = subprocess.run(['ip', 'netns', 'pids', name], capture_output=True, text=True, check=False)
            for pid in done.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(['ip', 'netns', 'del', name], capture_output=True, check=False)


def ranks_of(machine):
    """Process numbers of the ranks on a machine."""
    found = []
    for pid in subprocess.run(['ip', 'netns', 'pids', machine], capture_output=True, text=True, check=True).stdout.split():
        try:
            words = Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')
        except FileNotFoundError:
            continue
        if b'tools/train.py' in words and b'torch.distributed.run' not in words:
            found.append(int(pid))
    return found


@pytest.fixture
def start(machines, tiny, tmp_path):
    """Starts the training on both machines; returns the two programs."""
    programs = []

    def torchrun(*options):
        for number, machine in enumerate(machines):
            command = ['ip', 'netns', 'exec', machine, sys.executable, '-m', 'torch.distributed.run', '--nnodes', '2',
                       '--node_rank', str(number), '--master_addr', ADDRESSES[0], '--master_port', '29511', '--nproc_per_node',
                       '2', 'tools/train.py', str(tiny), '--launcher', 'pytorch', '--device', 'cpu', '--seed', '1',
                       '--work-dir', str(tmp_path / 'work'), '--cfg-options', 'data.samples_per_gpu=1', 'log_config.interval=1',
                       'model.backbone.norm_cfg=None', 'model.neck.norm_cfg=None', f'dist_params.timeout={TIMEOUT}', *options]
            with open(tmp_path / f'{machine}.txt', 'w') as said:
                programs.append(subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, env={
                    **os.environ, 'OMP_NUM_THREADS': '1', 'GLOO_SOCKET_IFNAME': machine}))
        return programs
    yield torchrun
    for program in programs:
        program.kill()
        program.wait()


def wait_until(true, seconds):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it does not come'
        time.sleep(0.1)


def test_four_processes_on_two_machines_train_and_evaluate(start, machines, tmp_path):
    for program in start('runner.max_epochs=1'):
        assert program.wait(timeout=120) == 0, [(tmp_path / f'{machine}.txt').read_text()[-3000:] for machine in machines]
    log, = (tmp_path / 'work').glob('*.log.json')
    assert '"mode": "val"' in log.read_text() and (tmp_path / 'work/epoch_1.pth').exists()


def test_when_the_cable_is_pulled_all_end_and_each_says_who_is_missing(start, machines, tmp_path):
    start('runner.max_epochs=100000', 'checkpoint_config=None', 'evaluation=None')
    wait_until(lambda: any('"mode": "train"' in log.read_text() for log in (tmp_path / 'work').glob('*.log.json')), 90)
    assert [len(ranks_of(machine)) for machine in machines] == [2, 2]
    ip('-n', machines[0], 'link', 'set', machines[0], 'down')
    wait_until(lambda: not any(map(ranks_of, machines)), TIMEOUT + 10)
    here, there = ((tmp_path / f'{machine}.txt').read_text() for machine in machines)
    named = re.findall(r'error: rank ([01]): .*\(no sign of life from rank 2 on \S+, rank 3 on \S+\)', here)
    assert named and set(named) <= {'0', '1'}
    assert re.search(rf'error: rank [23]: .*\(no sign of life from the machine of rank 0, {ADDRESSES[0]}:29511\)', there)
