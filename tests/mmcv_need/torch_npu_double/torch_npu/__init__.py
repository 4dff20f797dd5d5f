"""A double of torch_npu: its documented functions and its ways to fail, in Python, without an operator or a card.

Tests put the folder above on the path and say in the environment's TORCH_NPU_DOUBLE, as json, what it is to be:

    version   whose behaviour it has, such as '2.6.0'
    cards     how many are visible
    chip      'Ascend910A', which knows neither infinity nor bfloat16, or 'Ascend910B1'
    fails     with what text the import fails, if it does, and `error`: the name of the exception
    without   functions of torch.npu that it lacks
    in_use    cards that cannot be opened
    status    'written' into the argument of npu_get_float_status, or 'returned'

Tensors stay on the CPU. What a chip does to a number that is too large, `saturated` does.
"""
import builtins
import importlib
import json
import os
import re

import torch

settings = {'version': '2.6.0', 'cards': 8, 'chip': 'Ascend910A', 'fails': None, 'error': 'ImportError', 'without': [],
            'in_use': [], 'status': 'returned', **json.loads(os.environ.get('TORCH_NPU_DOUBLE', '{}'))}
if settings['fails']:
    raise getattr(builtins, settings['error'])(settings['fails'])

__version__ = settings['version']
VERSION = tuple(int(part) for part in re.findall(r'\d+', __version__)[:2])
overflow = torch.zeros(8)  # the status register


def saturated(values):
    """What a chip without infinities makes of float16 results, and its status."""
    if not torch.isfinite(values).all():
        overflow[0] = 1
    return torch.nan_to_num(values, nan=0.0, posinf=65504.0, neginf=-65504.0)


def npu_clear_float_status(status):
    overflow.zero_()
    return torch.zeros_like(status)


def npu_get_float_status(status):
    if settings['status'] == 'written':
        status.copy_(overflow)
        return torch.zeros_like(status)
    return overflow.to(torch.int32)


npu = importlib.import_module('torch_npu.npu')
for name in settings['without']:
    delattr(npu, name)
torch.npu = npu
profiler = importlib.import_module('torch_npu.profiler')
