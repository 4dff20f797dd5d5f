"""What several processes cost: a step of each with the same batch, beside one process alone.

    python benchmarks/processes.py DEVICE BATCH STEPS      is one of them; run.py starts it
"""
from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Dict, Iterator, List

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

import torch
import torch.distributed as dist

from benchmarks.interleaved import Measure, scaled
from benchmarks.machine import wait_for
from benchmarks.settings import ROOT, Settings, input_size, read_config
from benchmarks.variants import Step, Variant, synthetic_batch
from mmcv_need import device as devices
from mmcv_need.cores import all_cores

COUNTS = (1, 2, 4)
CONFIG = 'ssd_demo.py'
GRACE = 600  # seconds that a group of processes may take


def measure(settings: Settings) -> Iterator[Measure]:
    """ms a step, the same batch and number of threads each. Processes beyond the cores share them, and so does what they are
    compared with."""
    cards = len(all_cores()) if settings.device.type == 'cpu' else devices.count(settings.device.type)
    counts = [count for count in COUNTS if count <= cards or settings.device.type == 'cpu']
    counts = counts[:2] if settings.small else counts
    batch, steps = (2, 3) if settings.small else (settings.batches[0], 12)
    seconds: Dict[int, List[float]] = {count: [] for count in counts}
    for _ in range(settings.rounds):
        for count in counts:
            seconds[count].append(run(count, settings.device.type, batch, steps, settings))
    for count in counts[1:]:
        crowding = max(1.0, count / cards)
        note = f', x {crowding:g} since they share {cards} cores' if crowding > 1 else ''
        yield Measure('processes', f'{count} processes, batch {batch} each: a step', 'ms', scaled(seconds[count], 1000),
                      f'1 process{note}', scaled(seconds[1], 1000 * crowding))


def run(count: int, kind: str, batch: int, steps: int, settings: Settings) -> float:
    """Median seconds of a step in a group of `count` processes.

    Raises:
        RuntimeError: one of them ended with an error.
    """
    store = settings.scratch / f'store-{time.monotonic_ns()}'
    program = [sys.executable, os.path.abspath(__file__), kind, str(batch), str(steps)]
    children = []
    for rank in range(count):
        environment = {**os.environ, **devices.on_loopback(), 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1',
                       'RANK': str(rank), 'WORLD_SIZE': str(count), 'STORE': str(store)}
        children.append(subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True))
    try:
        outputs = [child.communicate(timeout=GRACE)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    if any(child.returncode for child in children):
        raise RuntimeError(f'of {count} processes some ended with {[child.returncode for child in children]}')
    return max(float(output.split()[-1]) for output in outputs)


def be_one(kind: str, batch: int, steps: int) -> float:
    """Median seconds of a step of this process."""
    rank, count = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
    device = devices.select(kind, rank)
    torch.set_num_threads(1)
    cfg = read_config(CONFIG)
    if count > 1:
        store = dist.FileStore(os.environ['STORE'], count)
        dist.init_process_group(devices.backend(device), store=store, rank=rank, world_size=count)
    step = Step(cfg, synthetic_batch(input_size(cfg), batch, cfg.model.bbox_head.num_classes, device, seed=rank), device,
                Variant())
    seconds = []
    for number in range(steps + 3):
        start = time.perf_counter()
        step()
        wait_for(device)
        if number >= 3:
            seconds.append(time.perf_counter() - start)
    if count > 1:
        dist.barrier()
        dist.destroy_process_group()
    return sorted(seconds)[len(seconds) // 2]


if __name__ == '__main__':
    print(be_one(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
