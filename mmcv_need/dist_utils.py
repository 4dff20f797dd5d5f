"""Process groups: start one, ask for rank and size, and the few collectives, all on tensors.

No object collectives: those unpickle what another machine sent.
"""
from __future__ import annotations

import datetime
import io
import os
from typing import Any, Callable, Dict, List, Tuple, Union

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from mmcv_need.errors import UserError
from mmcv_need.serialization.torch_files import load_torch_file

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
TIMEOUT = datetime.timedelta(seconds=300)  # a dead peer is named after minutes, not after HCCL's half hour


def local_rank(launcher: str) -> int:
    """Which card of this machine is this process's, from the launcher's environment."""
    if launcher == 'none':
        return 0
    name = {'pytorch': 'LOCAL_RANK', 'slurm': 'SLURM_LOCALID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}[launcher]
    if name not in os.environ:
        started_by = {'pytorch': 'torchrun', 'slurm': 'srun', 'mpi': 'mpirun'}[launcher]
        raise UserError(f'--launcher {launcher}: the environment has no {name}. Start the processes with {started_by}')
    return int(os.environ[name])


def init_dist(launcher: str, backend: str) -> None:
    """Join the process group of a launcher's processes.

    Args:
        launcher: 'pytorch' (torchrun), 'slurm' or 'mpi'. MASTER_ADDR and MASTER_PORT say where rank 0 listens.
        backend: gloo, nccl or hccl.
    """
    names = {'pytorch': ('RANK', 'WORLD_SIZE'), 'slurm': ('SLURM_PROCID', 'SLURM_NTASKS'),
             'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE')}[launcher]
    missing = [name for name in (*names, 'MASTER_ADDR') if name not in os.environ]
    if missing:
        raise UserError(f"--launcher {launcher}: the environment has no {', '.join(missing)}")
    os.environ.setdefault('MASTER_PORT', '29500')
    rank, size = (int(os.environ[name]) for name in names)
    dist.init_process_group(backend, init_method='env://', rank=rank, world_size=size, timeout=TIMEOUT)


def leave_dist() -> None:
    """Leave the process group, if there is one, when all is done: a process that just ends may be aborted by its threads."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def get_dist_info() -> Tuple[int, int]:
    """(rank, number of processes); (0, 1) without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def barrier() -> None:
    if get_dist_info()[1] > 1:
        dist.barrier()


def broadcast_int(value: int, device: torch.device) -> int:
    """Rank 0's value, on every rank."""
    if get_dist_info()[1] == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.int64, device=device)
    dist.broadcast(tensor, src=0)
    return int(tensor.item())


def broadcast_buffers(module: nn.Module) -> None:
    """Rank 0's buffers (running means of norms) on every rank, so that all evaluate the network that is saved."""
    if get_dist_info()[1] > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def on_rank_0(action: Callable[[], Any], rank: int, device: torch.device) -> Any:
    """Do something on rank 0 alone; what a user can mend of it ends every rank, so that none is left waiting for the others.

    Args:
        action: for rank 0.
        rank: this process's.
        device: this process's.

    Returns:
        What the action gives; None on other ranks.
    """
    result: Any = None
    error: Union[UserError, OSError, None] = None
    if rank == 0:
        try:
            result = action()
        except (UserError, OSError) as problem:
            error = problem
    if any_over_ranks(torch.tensor(error is not None, device=device)):
        raise error or UserError('another process cannot go on; see what that says')
    return result


def any_over_ranks(flag: torch.Tensor) -> torch.Tensor:
    """() bool: whether a flag on the device is set on any rank. No rank waits for its device."""
    if get_dist_info()[1] == 1:
        return flag
    count = flag.to(torch.int32)
    dist.all_reduce(count)
    return count > 0


def mean_over_ranks(values: Dict[str, float], device: torch.device) -> Dict[str, float]:
    """Mean of each value over the ranks; every rank must hold the same keys in the same order."""
    size = get_dist_info()[1]
    if size == 1 or not values:
        return values
    tensor = torch.tensor(list(values.values()), dtype=torch.float64 if device.type == 'cpu' else torch.float32, device=device)
    dist.all_reduce(tensor)
    return dict(zip(values, (tensor / size).tolist()))


def gather_plain(value: Any, device: torch.device) -> List[Any]:
    """Every rank's plain data (numbers, strings, lists, dicts, tensors), on every rank, in rank order.

    What arrives is loaded as data: another machine can send nothing that runs.
    """
    if get_dist_info()[1] == 1:
        return [value]
    buffer = io.BytesIO()
    torch.save(value, buffer)
    rows = gather_rows(np.frombuffer(buffer.getvalue(), dtype=np.uint8)[:, None], device)
    return [load_torch_file(io.BytesIO(part.astype(np.uint8).tobytes())) for part in rows]


def gather_rows(rows: np.ndarray, device: torch.device) -> List[np.ndarray]:
    """Every rank's array of rows, on every rank.

    Args:
        rows: (n, K) float64; n may differ between ranks.

    Returns:
        One (n_r, K) array for each rank, in rank order.
    """
    size = get_dist_info()[1]
    if size == 1:
        return [rows]
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(size)]
    dist.all_gather(lengths, torch.tensor([len(rows)], dtype=torch.int64, device=device))
    counts = [int(length.item()) for length in lengths]
    bits = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float64)).view(torch.int64)  # accelerators may lack float64
    padded = torch.zeros((max(counts), rows.shape[1]), dtype=torch.int64, device=device)
    padded[:len(rows)] = bits.to(device)
    gathered = [torch.zeros_like(padded) for _ in range(size)]
    dist.all_gather(gathered, padded)
    return [part[:count].cpu().view(torch.float64).numpy() for part, count in zip(gathered, counts)]


def max_over_ranks(value: int, device: torch.device) -> int:
    """The largest of the ranks' values, which are below 2^31, on every rank."""
    if get_dist_info()[1] == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.int32, device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return int(tensor.item())
