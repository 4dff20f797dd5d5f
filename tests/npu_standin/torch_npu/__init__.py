"""A stand-in for torch_npu: cards on the host's memory, for tests of the npu rows of this project on any machine.

It goes by the names of Ascend's package, of which it has what a training run here asks for. Its code is this project's own.
"""
from __future__ import annotations

import torch

from torch_npu import hccl, npu, optim, profiler, report
from torch_npu.npu.status import npu_clear_float_status, npu_get_float_status

__all__ = ['npu', 'npu_clear_float_status', 'npu_get_float_status', 'optim', 'profiler']
__version__ = '.'.join(torch.__version__.split('.')[:2]) + '.0'  # a torch_npu is for one minor version of torch

torch._register_device_module('npu', npu)
torch.utils.generate_methods_for_privateuse1_backend(for_tensor=True, for_module=True, for_storage=True)
hccl.register()
report.at_exit()
