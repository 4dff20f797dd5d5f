"""`hccl`: collectives of the cards, each a process of its own, by gloo over the memory that they share with the host."""
from __future__ import annotations

from typing import Any, List, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import AllgatherOptions  # not yet one of torch.distributed's names in 2.6

from torch_npu.native import native


class CardGroup(dist.ProcessGroup if dist.is_available() else object):
    """A process group that takes the cards' tensors, and none of the host's, as HCCL does."""

    def __init__(self, store: Any, rank: int, size: int, timeout: Any):
        super().__init__(rank, size)
        self.gloo = dist.ProcessGroupGloo(store, rank, size, timeout)
        self.place = rank, size

    def rank(self) -> int:
        return self.place[0]

    def size(self) -> int:
        return self.place[1]

    def getBackendName(self) -> str:
        return 'hccl'

    def allreduce(self, tensors: Sequence[Tensor], opts: Any = None) -> Any:
        return self.gloo.allreduce(on_host(tensors), opts or dist.AllreduceOptions())

    def allreduce_coalesced(self, tensors: Sequence[Tensor], opts: Any = None) -> Any:
        return self.gloo.allreduce_coalesced(on_host(tensors), opts or dist.AllreduceCoalescedOptions())

    def broadcast(self, tensors: Sequence[Tensor], opts: Any = None) -> Any:
        return self.gloo.broadcast(on_host(tensors), opts or dist.BroadcastOptions())

    def reduce(self, tensors: Sequence[Tensor], opts: Any = None) -> Any:
        return self.gloo.reduce(on_host(tensors), opts or dist.ReduceOptions())

    def allgather(self, outputs: Sequence[Sequence[Tensor]], inputs: Sequence[Tensor], opts: Any = None) -> Any:
        return self.gloo.allgather([on_host(output) for output in outputs], on_host(inputs), opts or AllgatherOptions())

    def _allgather_base(self, output: Tensor, given: Tensor, opts: Any = None) -> Any:
        return self.gloo._allgather_base(*on_host([output, given]), opts or AllgatherOptions())

    def barrier(self, opts: Any = None) -> Any:
        return self.gloo.barrier(opts or dist.BarrierOptions())


def on_host(tensors: Sequence[Tensor]) -> List[Tensor]:
    """The same memory for gloo."""
    for tensor in tensors:
        if tensor.device.type != 'npu':
            raise RuntimeError(f'hccl: expected tensors on an npu, not on {tensor.device}')
    native.synchronize()
    with torch.no_grad():
        return [native.host_view(tensor) for tensor in tensors]


def register() -> None:
    """Make `hccl` a backend of torch.distributed, for npu devices."""
    if dist.is_available() and 'hccl' not in dist.Backend.backend_list:
        dist.Backend.register_backend('hccl', CardGroup, devices=['npu'])
