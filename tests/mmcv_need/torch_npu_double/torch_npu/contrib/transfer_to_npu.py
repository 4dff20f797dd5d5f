"""Ascend's migration tool: from now on torch.cuda answers for the NPU."""
import torch

import torch_npu

for _name in ('is_available', 'device_count', 'set_device', 'get_device_name'):
    setattr(torch.cuda, _name, getattr(torch_npu.npu, _name))
