"""How processes find each other: what each launcher's environment says, and what is said when it says nothing."""
from __future__ import annotations

import datetime
import os
import signal
import socket
import threading

import pytest

from mmcv_need import rendezvous
from mmcv_need.errors import UserError

SOON = datetime.timedelta(seconds=2)
NAMES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_NODELIST',
         'SLURM_STEP_NODELIST', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK', 'MASTER_ADDR',
         'MASTER_PORT', 'RANK_STORE_FILE')


@pytest.fixture
def bare(monkeypatch):
    """An environment that no launcher touched."""
    for name in NAMES:
        monkeypatch.setenv(name, '')  # what a function sets is undone, too
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return str(listener.getsockname()[1])


@pytest.mark.parametrize('launcher, names, program', [
    ('pytorch', 'RANK, WORLD_SIZE', 'torchrun'), ('slurm', 'SLURM_PROCID, SLURM_NTASKS', 'srun'),
    ('mpi', 'OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE', 'mpirun')])
def test_what_the_launcher_did_not_set_is_named(bare, launcher, names, program):
    with pytest.raises(UserError, match=f'^--launcher {launcher}: the environment has no {names}. .* with {program}$'):
        rendezvous.meet(launcher, SOON)


@pytest.mark.parametrize('launcher, name, program', [
    ('pytorch', 'LOCAL_RANK', 'torchrun'), ('slurm', 'SLURM_LOCALID', 'srun'), ('mpi', 'OMPI_COMM_WORLD_LOCAL_RANK', 'mpirun')])
def test_the_card_of_a_process_is_the_launchers_to_say(bare, launcher, name, program):
    with pytest.raises(UserError, match=f'has no {name}.*{program}'):
        rendezvous.local_rank(launcher)
    bare.setenv(name, '3')
    assert rendezvous.local_rank(launcher) == 3
    assert rendezvous.local_rank('none') == 0
    bare.setenv(name, 'three')
    with pytest.raises(UserError, match=f"expected a number in the environment variable {name}, not 'three'"):
        rendezvous.local_rank(launcher)


def test_without_an_address_nobody_is_found(bare):
    for name in ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'):
        bare.setenv(name, '1')
    with pytest.raises(UserError, match=r'no MASTER_ADDR, the address of the machine of rank 0$'):
        rendezvous.meet('mpi', SOON)


def test_one_process_of_one_meets_itself(bare, port):
    for name, value in (('RANK', '0'), ('WORLD_SIZE', '1'), ('MASTER_ADDR', '127.0.0.1'), ('MASTER_PORT', port)):
        bare.setenv(name, value)
    store, rank, size = rendezvous.meet('pytorch', SOON)
    assert (rank, size) == (0, 1)
    store.set('key', 'value')
    assert store.get('key') == b'value'


def test_a_port_in_use_is_named_with_what_to_do(bare):
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        for name, value in (('RANK', '0'), ('WORLD_SIZE', '2'), ('MASTER_ADDR', '127.0.0.1'), ('MASTER_PORT', number)):
            bare.setenv(name, value)
        with pytest.raises(UserError, match=rf'^port {number} is in use on this machine; .*MASTER_PORT=N'):
            rendezvous.meet('pytorch', SOON)


def test_others_that_do_not_come_are_waited_for_as_long_as_agreed(bare, port):
    for name, value in (('RANK', '1'), ('WORLD_SIZE', '2'), ('MASTER_ADDR', '127.0.0.1'), ('MASTER_PORT', port)):
        bare.setenv(name, value)
    with pytest.raises(UserError, match=rf'^rank 1 of 2 did not find the others at 127\.0\.0\.1:{port} within 2 s'):
        rendezvous.meet('pytorch', SOON)


# Slurm


@pytest.fixture
def scontrol(bare, tmp_path):
    """Puts a program of that name into PATH."""
    def write(script):
        path = tmp_path / 'scontrol'
        path.write_text(f'#!/bin/sh\n{script}\n')
        path.chmod(0o755)
        bare.setenv('PATH', str(tmp_path))
    return write


def test_the_first_machine_of_a_slurm_job_is_that_of_rank_0(bare, scontrol):
    scontrol('[ "$*" = "show hostnames node[3-5],other" ] && echo node3 && echo node4')
    bare.setenv('SLURM_NODELIST', 'node[3-5],other')
    assert rendezvous.first_host_of_slurm() == 'node3'


def test_slurm_that_does_not_say_is_named(bare, scontrol):
    with pytest.raises(UserError, match=r'no SLURM_NODELIST.*srun'):
        rendezvous.first_host_of_slurm()
    bare.setenv('SLURM_NODELIST', 'node1')
    for script in ('exit 3', ''):
        scontrol(script)
        with pytest.raises(UserError, match=r'`scontrol show hostnames node1` does not name the machines .*MASTER_ADDR'):
            rendezvous.first_host_of_slurm()
    bare.setenv('PATH', '')
    with pytest.raises(UserError, match='MASTER_ADDR'):
        rendezvous.first_host_of_slurm()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_who_waits_for_the_others_heeds_signals(bare, tmp_path, number):
    """The store's own wait heeds none, whatever its timeout."""
    for name, value in {'RANK': '0', 'WORLD_SIZE': '2', 'RANK_STORE_FILE': str(tmp_path / 'store')}.items():
        bare.setenv(name, value)

    def heed(*_):
        raise KeyboardInterrupt
    before = signal.signal(number, heed)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            rendezvous.meet('pytorch', datetime.timedelta(days=1))
    finally:
        timer.join()
        signal.signal(number, before)


def test_who_waits_for_the_others_in_vain_ends(bare, tmp_path):
    for name, value in {'RANK': '0', 'WORLD_SIZE': '2', 'RANK_STORE_FILE': str(tmp_path / 'store')}.items():
        bare.setenv(name, value)
    with pytest.raises(RuntimeError, match=r'(?i)time'):
        rendezvous.meet('pytorch', SOON)
