"""On what the figures were measured, and how busy it was."""
from __future__ import annotations

import contextlib
import datetime
import os
import platform
from importlib import metadata
from typing import Any, Dict, Iterator, List

import cv2
import numpy as np
import torch

from mmcv_need import device as devices
from mmcv_need.cores import all_cores
from mmdet.version import __version__

PACKAGES = ('torchvision', 'hotcoco', 'faster-coco-eval', 'pycocotools', 'orjson')


def load() -> float:
    """Processes that wanted to run, in the mean of the last minute."""
    return os.getloadavg()[0] if hasattr(os, 'getloadavg') else float('nan')


def describe(device: torch.device) -> Dict[str, Any]:
    """Date, machine and versions."""
    versions = {'mmdet': __version__, 'python': platform.python_version(), 'torch': torch.__version__,
                'numpy': np.__version__, 'cv2': cv2.__version__}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {'date': datetime.date.today().isoformat(), 'processor': processor(), 'cores': len(all_cores()),
            'memory_gb': round(memory_bytes() / 2 ** 30), 'device': devices.describe(device), 'versions': versions}


def processor() -> str:
    """The processor's name, with what it has for half precision."""
    name, flags = platform.processor() or platform.machine(), ''
    with contextlib.suppress(OSError), open('/proc/cpuinfo', encoding='utf-8') as file:
        for line in file:
            key, _, value = line.partition(':')
            if key.strip() == 'model name':
                name = value.strip()
            elif key.strip() == 'flags':
                flags = ', '.join(flag for flag in ('avx512f', 'avx512_bf16', 'amx_bf16') if flag in value.split())
    return f'{name} ({flags})' if flags else name


def memory_bytes() -> int:
    """Of the machine; 0 where the system does not say."""
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') if 'SC_PHYS_PAGES' in os.sysconf_names else 0


def private_bytes(process: int) -> int:
    """Memory that is a process's own, not shared with others (USS).

    Raises:
        OSError: this system has no /proc/*/smaps_rollup.
    """
    total = 0
    with open(f'/proc/{process}/smaps_rollup', encoding='utf-8') as file:
        for line in file:
            if line.startswith(('Private_Clean:', 'Private_Dirty:')):
                total += 1024 * int(line.split()[1])
    return total


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """Within this, everything here runs on one core, with one thread."""
    threads, cv_threads, cores = torch.get_num_threads(), cv2.getNumThreads(), all_cores()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    _bind(cores[-1:])
    try:
        yield
    finally:
        _bind(cores)
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv_threads)


def _bind(cores: List[int]) -> None:
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, cores)


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was given; the CPU always has."""
    if device.type != 'cpu':
        devices.stack(device).synchronize()
