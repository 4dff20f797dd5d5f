"""`torch_npu.profiler`: torch's profiler by Ascend's names. A trace goes to a folder of its own below the one that is given."""
from __future__ import annotations

import enum
import json
import os
import time
from typing import Any, Callable, Iterable

import torch
from torch.profiler import schedule

__all__ = ['ProfilerActivity', 'profile', 'schedule', 'tensorboard_trace_handler']


class ProfilerActivity(enum.Enum):
    CPU = 'cpu'
    NPU = 'npu'


class profile(torch.profiler.profile):
    def __init__(self, activities: Iterable[ProfilerActivity] = (), **settings: Any):
        unknown = [activity for activity in activities if not isinstance(activity, ProfilerActivity)]
        if unknown:
            raise TypeError(f'activities: expected members of torch_npu.profiler.ProfilerActivity, not {unknown}')
        super().__init__(activities=[torch.profiler.ProfilerActivity.CPU], **settings)  # where the kernels run


def tensorboard_trace_handler(folder: str) -> Callable[[Any], None]:
    """Writes `<folder>/<...>_ascend_pt/trace_view.json` after each cycle, as MindStudio Insight reads it."""
    def write(profiler: Any) -> None:
        target = os.path.join(folder, f'{os.getpid()}_{time.time_ns()}_ascend_pt')
        os.makedirs(target)
        profiler.export_chrome_trace(os.path.join(target, 'trace_view.json'))
        with open(os.path.join(target, 'profiler_info.json'), 'w', encoding='utf-8') as file:
            json.dump({'device': torch.npu.get_device_name()}, file)
    return write
