"""Where the processes of a run find each other: what each launcher says in the environment, and the store they share."""
from __future__ import annotations

import datetime
import os
import subprocess
import time
from typing import Any, Sequence, Tuple

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from mmcv_need.errors import UserError
from mmcv_need.launch import STORE

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
STARTED_BY = {'pytorch': 'torchrun', 'slurm': 'srun', 'mpi': 'mpirun'}
LOCAL_RANK = {'pytorch': 'LOCAL_RANK', 'slurm': 'SLURM_LOCALID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}
RANK_AND_SIZE = {'pytorch': ('RANK', 'WORLD_SIZE'), 'slurm': ('SLURM_PROCID', 'SLURM_NTASKS'),
                 'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE')}
PORT = '29500'
LOOK = datetime.timedelta(seconds=1)  # a signal is heeded between two waits, not within one


def local_rank(launcher: str) -> int:
    """Which of this machine's processes this is, from the launcher's environment: it takes that card."""
    if launcher == 'none':
        return 0
    name = LOCAL_RANK[launcher]
    if name not in os.environ:
        raise UserError(f'--launcher {launcher}: the environment has no {name}. Start the processes with '
                        f'{STARTED_BY[launcher]}')
    return _number(launcher, name)


def meet(launcher: str, timeout: datetime.timedelta) -> Tuple[Any, int, int]:
    """(store, rank, number of processes), once all are there.

    Args:
        launcher: 'pytorch' (torchrun, or --gpus), 'slurm' or 'mpi'.
        timeout: how long to wait for the others.

    Raises:
        UserError: the environment does not say what is needed, or the port is in use.
    """
    names = RANK_AND_SIZE[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise UserError(f"--launcher {launcher}: the environment has no {', '.join(missing)}. Start the processes with "
                        f'{STARTED_BY[launcher]}')
    rank, size = (_number(launcher, name) for name in names)
    if STORE in os.environ:
        store = dist.FileStore(os.environ[STORE], size)
        store.set(f'here {rank}', '')  # all begin together, so that no collective has to wait for one that starts slowly
        _wait([f'here {other}' for other in range(size)], store, timeout)
        return store, rank, size
    if launcher == 'slurm':
        os.environ.setdefault('MASTER_ADDR', first_host_of_slurm())
    if 'MASTER_ADDR' not in os.environ:
        raise UserError(f'--launcher {launcher}: the environment has no MASTER_ADDR, the address of the machine of rank 0')
    port = os.environ.setdefault('MASTER_PORT', PORT)
    _number(launcher, 'MASTER_PORT')
    try:
        return next(iter(rendezvous('env://', rank, size, timeout=timeout)))
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{port}"
        if 'EADDRINUSE' in str(error) or 'in use' in str(error):
            raise UserError(f'port {port} is in use on this machine; choose another one: MASTER_PORT=N, the same for all '
                            f'processes') from error
        raise UserError(f'rank {rank} of {size} did not find the others at {where} within {timeout.total_seconds():g} s '
                        f'({str(error).splitlines()[0]}). Check MASTER_ADDR, MASTER_PORT, the firewall, and that all of them '
                        f'were started') from error


def _wait(keys: Sequence[str], store: Any, timeout: datetime.timedelta) -> None:
    end = time.monotonic() + timeout.total_seconds()
    while True:
        try:
            return store.wait(list(keys), LOOK)
        except RuntimeError:
            if time.monotonic() >= end:
                raise


def first_host_of_slurm() -> str:
    """The machine of rank 0 in a job of Slurm.

    Raises:
        UserError: Slurm does not say.
    """
    nodes = os.environ.get('SLURM_STEP_NODELIST') or os.environ.get('SLURM_NODELIST')
    if not nodes:
        raise UserError('--launcher slurm: the environment has no SLURM_NODELIST. Start the processes with srun, or set '
                        'MASTER_ADDR to the machine of rank 0')
    try:
        done = subprocess.run(['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True)
        return done.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise UserError(f'--launcher slurm: `scontrol show hostnames {nodes}` does not name the machines ({error}). Set '
                        f'MASTER_ADDR to the machine of rank 0') from error


def _number(launcher: str, name: str) -> int:
    text = os.environ[name]
    if not text.isdigit():
        raise UserError(f'--launcher {launcher}: expected a number in the environment variable {name}, not {text!r}')
    return int(text)
