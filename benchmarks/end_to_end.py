"""Real training, loader and step together, beside the slower of the two; and what the loader's workers hold in memory."""
from __future__ import annotations

import functools
import multiprocessing
import time
from typing import Any, Iterator, List, Tuple

import torch

from benchmarks.interleaved import Measure
from benchmarks.machine import on_one_core, private_bytes, wait_for
from benchmarks.pipeline import dataset_of, finished, pipelines_of
from benchmarks.settings import Settings, input_size, read_config
from benchmarks.variants import Step, Variant, synthetic_batch, usable
from mmcv_need import device as devices
from mmcv_need.cores import all_cores
from mmdet.datasets.loader.data_loader import SeededSamples, train_loader
from mmdet.datasets.wrappers import RepeatDataset

EPOCHS, EPOCH = 5, 600  # and pictures of one, at least: fewer do not fill what the allocators keep
ON_CPU = 'ssd_demo.py'  # SSD300's step takes seconds there: no pipeline is too slow for it


def measure(settings: Settings) -> Iterator[Measure]:
    """Images a second, and shares."""
    on_cpu = settings.device.type == 'cpu'
    config = ON_CPU if on_cpu else settings.config
    cfg = read_config(config)
    pipeline, _ = pipelines_of(cfg)
    dataset = dataset_of(cfg, settings.pictures, pipeline)
    cfg.merge_from_dict({'model.bbox_head.num_classes': len(dataset.CLASSES)})
    # On the CPU the step's threads and the workers share the cores: one worker, and the other cores for the step.
    workers = 1 if on_cpu else max(1, len(all_cores()) - 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, min(threads, len(all_cores()) - workers)))
    try:
        yield from together(cfg, config, dataset, workers, settings)
        yield from memory(dataset, settings)
    finally:
        torch.set_num_threads(threads)


def together(cfg: Any, config: str, dataset: Any, workers: int, settings: Settings) -> Iterator[Measure]:
    """Training, the step on a batch that is there, and one core's pipeline, in turn."""
    batch = settings.batches[0]
    variant = Variant() if settings.device.type == 'cpu' else usable({'': Variant('O1')}, settings.device).get('', Variant())
    size = input_size(cfg)
    step = Step(cfg, synthetic_batch(size, batch, len(dataset.CLASSES), settings.device), settings.device, variant)
    # Epochs are long beside what workers prepare ahead, two batches each: the start of one is not what is measured.
    steps = 4 if settings.small else 20 * workers
    repeated = RepeatDataset(dataset, max(1, round(steps * batch / len(dataset))))
    loader = train_loader(repeated, batch, workers, seed=0, pin_memory=settings.device.type != 'cpu',
                          finish=not devices.finishes_pictures(settings.device))
    resident, found = step.batch, {name: [] for name in ('trained', 'waiting', 'step', 'pipeline')}
    for number in range(1 + settings.rounds):
        trained, waiting = train(step, loader, number, settings.device)
        step.batch = resident
        alone = timed(step, 4 if settings.small else 10, settings.device)
        prepared = one_core(dataset, batch, 1 if settings.small else 4)
        if number:
            for name, value in zip(found, (batch / trained, waiting / trained, batch / alone, batch / prepared)):
                found[name].append(value)
    bound = [min(step_rate, rate * workers) for step_rate, rate in zip(found['step'], found['pipeline'])]
    say = functools.partial(Measure, 'end_to_end')
    title = f'{config[:-len(".py")]}, batch {batch}, workers: {workers}'
    full = settings.device.type != 'cpu' and len(all_cores()) >= 16 and not settings.small and config == 'ssd300_coco.py'
    yield say(f'{title}: training', 'images/s', found['trained'], 'the slower of step and workers', bound)
    yield say(f'{title}: training', 'images/s', found['trained'], 'step alone', found['step'])
    yield say(f'{title}: training', 'images/s', found['trained'], target='>= 1200' if full else '')
    yield say(f'{title}: pipeline of one core', 'images/s', found['pipeline'])
    yield say(f'{title}: device without work', '%', [100 * max(0.0, 1 - rate / alone)
                                                    for rate, alone in zip(found['trained'], found['step'])])
    yield say(f'{title}: waiting for a batch', '%', [100 * share for share in found['waiting']])


def train(step: Step, loader: Any, epoch: int, device: torch.device) -> Tuple[float, float]:
    """Seconds a step of an epoch, and of them those in which the host waited for a batch. The first step is not counted."""
    waiting, steps = 0.0, len(loader) - 1
    loader.set_epoch(epoch)
    batches = iter(loader)
    step.batch = next(batches)
    step()
    wait_for(device)
    start = time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        step.batch = next(batches)
        waiting += time.perf_counter() - asked
        step()
    wait_for(device)
    return (time.perf_counter() - start) / steps, waiting / steps


def timed(step: Step, count: int, device: torch.device) -> float:
    """Seconds a step on the batch that it has."""
    step()
    wait_for(device)
    start = time.perf_counter()
    for _ in range(count):
        step()
    wait_for(device)
    return (time.perf_counter() - start) / count


def one_core(dataset: Any, batch: int, count: int) -> float:
    """Seconds a batch of one core's pipeline, colours included."""
    samples = SeededSamples(dataset, seed=0)
    with on_one_core():
        start = time.perf_counter()
        for number in range(count):
            finished([samples[number, (number * batch + i) % len(dataset)] for i in range(batch)])
        return (time.perf_counter() - start) / count


def memory(dataset: Any, settings: Settings) -> Iterator[Measure]:
    """How much a worker's own memory grows from epoch to epoch, and how large it is."""
    loader = train_loader(dataset, settings.batches[0], workers=1, seed=0,
                          finish=not devices.finishes_pictures(settings.device))
    before, sizes = {child.pid for child in multiprocessing.active_children()}, []
    passes = 1 if settings.small else max(1, round(EPOCH / len(dataset)))
    try:
        for epoch in range(EPOCHS + 1):
            for number in range(passes):
                loader.set_epoch(epoch * passes + number)
                for _ in loader:
                    pass
            workers = [child.pid for child in multiprocessing.active_children() if child.pid not in before]
            sizes.append(sum(private_bytes(pid) for pid in workers) / len(workers) / 2 ** 20)
    except (OSError, ZeroDivisionError):  # no /proc here, or no core to spare for a worker
        return
    epochs = f'{EPOCHS} epochs of {passes * len(dataset)} pictures'
    yield Measure('end_to_end', f'a worker: own memory after each of {epochs}', 'MB', sizes[1:])
    yield Measure('end_to_end', f'a worker: growth an epoch, in {epochs} after the first', '%', [growth(sizes[1:])],
                  target='' if settings.small else '<= 1')


def growth(sizes: List[float]) -> float:
    """Slope of a line through sizes, in percent of their mean an epoch."""
    middle, mean = (len(sizes) - 1) / 2, sum(sizes) / len(sizes)
    slope = (sum((i - middle) * (size - mean) for i, size in enumerate(sizes))
             / sum((i - middle) ** 2 for i in range(len(sizes))))
    return 100 * slope / mean
