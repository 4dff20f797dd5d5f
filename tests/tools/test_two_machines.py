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
import torch

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
def start(machines, tmp_path):
    """Starts a command on each machine, in a folder; returns the two programs. What they say is in <machine>.txt."""
    programs = []

    def on_both(folder, *commands):
        for machine, command in zip(machines, commands):
            with open(tmp_path / f'{machine}.txt', 'w') as said:
                programs.append(subprocess.Popen(['ip', 'netns', 'exec', machine, *map(str, command)], cwd=folder, stdout=said,
                                                 stderr=said, env={**os.environ, 'OMP_NUM_THREADS': '1'}))
        return programs
    yield on_both
    for program in programs:
        program.kill()
        program.wait()


def wait_until(true, seconds):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it does not come'
        time.sleep(0.1)


def test_the_script_trains_on_two_machines_and_the_first_reports(start, machines, clone, demo, tiny, tmp_path):
    script = ['bash', 'test/train_performance_multinodes.sh', f'--data_path={demo}', f'--config={tiny}', '--device=cpu',
              '--cards=2', '--nnodes=2', f'--master_addr={ADDRESSES[0]}', '--batch_size=2', '--max_steps=8']
    commands = [[*script, f'--node_rank={rank}', f'--local_addr={address}'] for rank, address in enumerate(ADDRESSES)]
    for program in start(clone, *commands):
        assert program.wait(timeout=180) == 0, [(tmp_path / f'{machine}.txt').read_text()[-3000:] for machine in machines]
    first, second = ((tmp_path / f'{machine}.txt').read_text() for machine in machines)
    assert re.search(r'\nFinal Performance images/sec : \d+\.\d\d\nFinal Train Accuracy : \S+\nE2E Training', first)
    assert second.endswith('node 1 has done its part; node 0 has the results\n') and 'Final' not in second
    results = dict(line.split(' = ') for line in (clone / 'test/output/0/SSD_bs2_2p_perf.log').read_text().splitlines())
    assert float(results['ActualFPS']) > 0
    assert torch.load(clone / 'test/output/0/SSD_bs2_2p_perf/latest.pth', weights_only=True)['meta']['world_size'] == 4


def test_when_the_cable_is_pulled_all_end_and_each_says_who_is_missing(start, machines, tiny, tmp_path):
    changes = ['data.samples_per_gpu=1', 'log_config.interval=1', 'model.backbone.norm_cfg=None', 'model.neck.norm_cfg=None',
               f'dist_params.timeout={TIMEOUT}', 'runner.max_epochs=100000', 'checkpoint_config=None', 'evaluation=None']
    commands = [['env', f'GLOO_SOCKET_IFNAME={machine}', sys.executable, '-m', 'torch.distributed.run', '--nnodes', 2,
                 '--node_rank', rank, '--master_addr', ADDRESSES[0], '--master_port', 29511, '--nproc_per_node', 2,
                 'tools/train.py', tiny, '--launcher', 'pytorch', '--device', 'cpu', '--seed', 1, '--work-dir',
                 tmp_path / 'work', '--cfg-options', *changes] for rank, machine in enumerate(machines)]
    start(ROOT, *commands)
    wait_until(lambda: any('"mode": "train"' in log.read_text() for log in (tmp_path / 'work').glob('*.log.json')), 90)
    assert [len(ranks_of(machine)) for machine in machines] == [2, 2]
    ip('-n', machines[0], 'link', 'set', machines[0], 'down')
    wait_until(lambda: not any(map(ranks_of, machines)), TIMEOUT + 10)
    here, there = ((tmp_path / f'{machine}.txt').read_text() for machine in machines)
    named = re.findall(r'error: rank ([01]): .*\(no sign of life from rank 2 on \S+, rank 3 on \S+\)', here)
    assert named and set(named) <= {'0', '1'}
    assert re.search(rf'error: rank [23]: .*\(no sign of life from the machine of rank 0, {ADDRESSES[0]}:29511\)', there)
