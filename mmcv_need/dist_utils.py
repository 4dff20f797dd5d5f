"""Process groups: start one, ask for rank and size, and the few collectives, all on tensors.

No object collectives: those unpickle what another machine sent.
"""
from __future__ import annotations

import datetime
import io
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from mmcv_need.failures import PeerError
from mmcv_need.heartbeat import Heartbeat, connect
from mmcv_need.launch import is_launched
from mmcv_need.rendezvous import meet
from mmcv_need.serialization.torch_files import load_torch_file
from mmcv_need.torch_versions import has

if dist.is_available():
    with suppress(ImportError):  # not every build has all of it
        # Its arguments default to the process group of that moment. Imported later, as by torch itself when an optimizer is
        # made, they keep a group alive that was left, with threads that abort a process which ends while they work.
        import torch.distributed.nn.functional

START = datetime.timedelta(seconds=300)  # from the first process to the last: machines may be started by hand
TIMEOUT = 300.0  # seconds: a dead peer is named after minutes, not after HCCL's half hour
FAREWELL = datetime.timedelta(seconds=30)
LEISURE = datetime.timedelta(days=2)  # what rank 0 does alone may take long: it waits for no card, and its end is seen


class _Group:
    """The process group that this process is in.

    Attributes:
        store: shared by all its processes.
        timeout: seconds that a collective waits.
        turns: how often all waited for rank 0.
        heartbeat: on several machines.
    """

    def __init__(self, store: Any, timeout: float, heartbeat: Optional[Heartbeat]):
        self.store, self.timeout, self.heartbeat, self.turns = store, timeout, heartbeat, 0

    def say_farewell(self) -> None:
        """Rank 0, where the store may be, leaves last: others may still have to read there that it is done."""
        rank, size = get_dist_info()
        with suppress(RuntimeError):  # who does not come has failed, and says so
            self.store.set(f'farewell {rank}', '')
            for other in range(size) if rank == 0 else ():  # one at a time: torch 1.8's store may not see the last of several
                self.store.wait([f'farewell {other}'], FAREWELL)


_group: Optional[_Group] = None


def init_dist(launcher: str, backend: str, timeout: float = TIMEOUT) -> None:
    """Join the process group of a launcher's processes.

    Args:
        launcher: 'pytorch' (torchrun, or --gpus), 'slurm' or 'mpi'.
        backend: gloo, nccl or hccl.
        timeout: seconds that a collective waits for the other processes.

    Raises:
        UserError: see `meet`.
    """
    global _group
    patience = datetime.timedelta(seconds=timeout)
    store, rank, size = meet(launcher, max(patience, START))
    elsewhere = size > 1 and not is_launched() and has('a second store beside that of the process group')
    heartbeat = Heartbeat(connect(patience), rank, size) if elsewhere else None
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=patience)
    _group = _Group(dist.PrefixStore('turns', store), timeout, heartbeat)


def leave_dist() -> None:
    """Leave the process group, if there is one, when all is done: a process that just ends may be aborted by its threads."""
    global _group
    if _group:
        if not is_launched():
            _group.say_farewell()
        if _group.heartbeat:
            _group.heartbeat.stop()
    _group = None
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def patience() -> float:
    """Seconds that the other processes wait for this one before they give the run up; as long where there are none."""
    return _group.timeout if _group else TIMEOUT


def missing_processes() -> str:
    """After a collective failed: who gives no sign of life, in words; '' if that cannot be told."""
    return _group.heartbeat.missing() if _group and _group.heartbeat else ''


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


def on_rank_0(action: Callable[[], Any]) -> Any:
    """Do something on rank 0 alone, while the others wait, however long it takes: in no collective, which would time out.

    An error of it ends every rank, so that none is left waiting for the others. If rank 0 is gone, whoever started the
    processes ends the others.

    Args:
        action: for rank 0.

    Returns:
        What the action gives; None on other ranks.
    """
    if _group is None:
        assert get_dist_info()[1] == 1, 'init_dist makes the group'
        return action()
    _group.turns += 1
    turn = str(_group.turns)
    if dist.get_rank() > 0:
        _group.store.wait([turn], LEISURE)
        if _group.store.get(turn) != b'done':
            raise PeerError('rank 0 cannot go on; see what it says')
        return None
    try:
        result = action()
    except BaseException:
        _group.store.set(turn, 'failed')
        raise
    _group.store.set(turn, 'done')
    return result


def tell_all(word: str) -> None:
    """Leave a word for the other ranks, if there are any, which they find when they look for it: in no collective."""
    if _group:
        _group.store.add(f'told {word}', 1)


def has_been_told(word: str) -> bool:
    """Whether any rank has left this word."""
    return _group is not None and _group.store.add(f'told {word}', 0) > 0  # not every torch has a `check` of its stores


def start_sum_over_ranks(count: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Start to sum a count on the device, in place; what is returned gives it, and has the device wait for it, not the host.

    On the CPU the host waits, which takes no time once the others have started it, too.
    """
    work = dist.all_reduce(count, async_op=True)

    def summed() -> torch.Tensor:
        work.wait()
        return count
    return summed


def any_over_ranks(flag: torch.Tensor) -> torch.Tensor:
    """() bool: whether a flag on the device is set on any rank. No rank waits for its device."""
    if get_dist_info()[1] == 1:
        return flag
    count = flag.to(torch.int32)
    dist.all_reduce(count)
    return count > 0


def mean_of_ranks(value: torch.Tensor) -> torch.Tensor:
    """() mean over the ranks of a value on the device, in float32. No rank waits for its device; no gradient passes."""
    size = get_dist_info()[1]
    if size == 1:
        return value
    total = value.detach().to(torch.float32)  # a copy: counts are integers
    dist.all_reduce(total)
    return total / size


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
    if not max(counts):  # nor would gloo of torch 1.8 survive it
        return [np.zeros((0, rows.shape[1])) for _ in counts]
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
