"""The training step on a batch that is already there: whole, in parts, and beside its bound and its peers."""
from __future__ import annotations

import functools
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping

import torch

from benchmarks.bare_stack import BareStack, ForwardBackward
from benchmarks.interleaved import Measure, interleave, rates, scaled
from benchmarks.machine import wait_for
from benchmarks.reference_loss import per_image_loss
from benchmarks.settings import Settings, build_network, input_size, read_config
from benchmarks.torchvision_step import torchvision_steps
from benchmarks.variants import CONTIGUOUS, VARIANTS, Step, Variant, synthetic_batch, usable
from benchmarks.waits import count_waits
from mmcv_need import device as devices
from mmcv_need.data_parallel import place

# Ratios that SSD300's step is to reach: on the CPU over float32 in the contiguous layout, elsewhere over the bare stack.
TARGETS = {('cpu', 'fp32'): '>= 1.08', ('cpu', 'bf16 O1'): '>= 2', ('cpu', 'bf16 O2'): '>= 2'}
BARE_TARGET, LOSS_TARGET = '>= 0.85', '<= 0.01'
RATES = {'ssd300_coco.py': '>= 1200', 'ssd512_coco.py': '>= 400'}  # images/s in bf16 of an H200, not compiled


def measure(settings: Settings) -> Iterator[Measure]:
    """ms a step; SSD512 too where there is an accelerator."""
    yield from steps_of(settings, settings.config, settings.batches)
    if settings.device.type != 'cpu' and not settings.small:
        yield from steps_of(settings, 'ssd512_coco.py', settings.batches[:1])


def steps_of(settings: Settings, config: str, batches: Any) -> Iterator[Measure]:
    cfg, device = read_config(config), settings.device
    variants = usable(VARIANTS, device)
    size = input_size(cfg)
    for pictures in batches:
        batch = synthetic_batch(size, pictures, cfg.model.bbox_head.num_classes, device)
        steps = {name: Step(cfg, batch, device, variant) for name, variant in variants.items()}
        calls = {name: _waited(step, device) for name, step in steps.items()}
        calls.update({f'bare stack, {name}': bare(cfg, step, variants[name]) for name, step in steps.items()
                      if name != CONTIGUOUS})
        calls.update(torchvision_steps(size, batch, device, variants))
        seconds = {name: scaled(values, 1000) for name, values in interleave(calls, settings.rounds).items()}
        say = functools.partial(Measure, 'step')
        title = f'{config[:-len(".py")]}, batch {pictures}'
        yield from whole(say, title, seconds, variants, settings, config, pictures)
        last = list(steps)[-1]
        for name in dict.fromkeys(('fp32', last)):
            yield from in_parts(say, f'{title}, {name}', steps[name], settings)
        yield from losses(say, title, steps['fp32'], settings)
        if devices.max_memory_mb(device) is not None:
            yield say(f'{title}: peak memory of all variants together', 'MB', [devices.max_memory_mb(device)])
    yield from waits(config, cfg, synthetic_batch(size, 2, cfg.model.bbox_head.num_classes, device), device, variants)


def whole(say: Any, title: str, seconds: Mapping[str, List[float]], variants: Mapping[str, Variant], settings: Settings,
          config: str, pictures: int) -> Iterator[Measure]:
    """Each variant beside the contiguous float32 step, the bare stack in its own precision and layout, and torchvision."""
    graded = config in RATES and not settings.small
    on_cpu = settings.device.type == 'cpu'
    for name in variants:
        if name != CONTIGUOUS:
            target = TARGETS.get((settings.device.type, name), '') if graded else ''
            yield say(f'{title}, {name}', 'ms', seconds[name], CONTIGUOUS, seconds[CONTIGUOUS], target=target)
            target = BARE_TARGET if graded and not on_cpu and name.startswith('bf16') else ''
            yield say(f'{title}, {name}', 'ms', seconds[name], f'bare stack, {name}', seconds[f'bare stack, {name}'],
                      target=target)
        peer = f'torchvision, {name}'
        if peer in seconds:
            target = '>= 2' if graded and not on_cpu else ''
            yield say(f'{title}, {name}', 'ms', seconds[name], peer, seconds[peer], target=target)
        target = RATES[config] if graded and not on_cpu and name.startswith('bf16') else ''
        yield say(f'{title}, {name}', 'images/s', rates(scaled(seconds[name], 1e-3), pictures), target=target)


def _waited(call: Callable[[], Any], device: torch.device) -> Callable[[], None]:
    def run() -> None:
        call()
        wait_for(device)
    return run


def bare(cfg: Any, step: Step, variant: Variant) -> ForwardBackward:
    """The bound of a step: the same layers in the same precision and layout, of a network that nothing was hooked into."""
    stack = place(BareStack(build_network(cfg)), step.device)
    img = step.wrapper.on_device(step.batch)['img']
    if variant.level == 'O2':
        stack, img = stack.to(step.precision.dtype), img.to(step.precision.dtype)
    computing = step.wrapper.computing if variant.level == 'O1' else torch.enable_grad
    return ForwardBackward(stack, img, computing, functools.partial(wait_for, step.device))


def in_parts(say: Any, title: str, step: Step, settings: Settings) -> Iterator[Measure]:
    """Each part, and its share of their sum. The device is waited for between parts, so that the sum may exceed the step."""
    rounds: Dict[str, List[float]] = {}
    for number in range(1 + settings.rounds):
        for name, seconds in timed_parts(step).items():
            rounds.setdefault(name, []).extend([1000 * seconds] if number else [])
    assignment = rounds.pop('assignment')
    total = [sum(parts) for parts in zip(*rounds.values())]
    for name, values in rounds.items():
        yield say(f'{title}: {name}', 'ms', values, 'all parts', total, relation='share')
    yield say(f'{title}: assignment alone', 'ms', assignment, 'all parts', total, relation='share')
    both = [sum(parts) for parts in zip(rounds['assignment and loss'], rounds['backward of the loss'])]
    target = LOSS_TARGET if settings.device.type == 'cpu' and not settings.small and title.endswith('fp32') else ''
    yield say(f'{title}: assignment and loss, both ways', 'ms', both, 'all parts', total, relation='share', target=target)


def timed_parts(step: Step) -> Dict[str, float]:
    """Seconds of each part of one step; 'assignment' is done once more than a step does it."""
    network, optimizer, marks = step.network, step.optimizer, [time.perf_counter()]

    def lap() -> float:
        wait_for(step.device)
        marks.append(time.perf_counter())
        return marks[-1] - marks[-2]

    parts: Dict[str, float] = {}
    optimizer.zero_grad()
    batch = step.wrapper.on_device(step.batch)
    parts['colours and normalisation'] = lap()
    with step.wrapper.computing():
        scores, deltas, levels = network.predict(batch['img'])
        anchors = network.bbox_head.anchors(levels, step.device)
        parts['forward'] = lap()
        network.train_cfg.assigner.assign(anchors, batch['gt_bboxes'], batch['gt_labels'])
        parts['assignment'] = lap()
        found = network.bbox_head.loss(scores, deltas, anchors, batch['gt_bboxes'], batch['gt_labels'], network.train_cfg)
    loss = sum(value.sum() for value in found.values())
    parts['assignment and loss'] = lap()
    gradients = torch.autograd.grad(loss, [scores, deltas])
    parts['backward of the loss'] = lap()
    torch.autograd.backward([scores, deltas], gradients)
    parts['backward'] = lap()
    optimizer.clip()
    optimizer.step()
    parts['optimizer'] = lap()
    return parts


def losses(say: Any, title: str, step: Step, settings: Settings) -> Iterator[Measure]:
    """Assignment and loss, both ways, beside those that go picture by picture."""
    network, batch = step.network, step.batch
    with torch.no_grad():
        *outputs, levels = network.predict(step.wrapper.on_device(batch)['img'])
    scores, deltas = (output.detach().requires_grad_() for output in outputs)
    anchors = network.bbox_head.anchors(levels, step.device)
    truths = [(boxes[labels >= 0], labels[labels >= 0]) for boxes, labels in zip(batch['gt_bboxes'], batch['gt_labels'])]

    def both_ways(found: Mapping[str, torch.Tensor]) -> None:
        torch.autograd.grad(sum(value.sum() for value in found.values()), [scores, deltas])
        wait_for(step.device)

    seconds = interleave({
        'ours': lambda: both_ways(network.bbox_head.loss(scores, deltas, anchors, batch['gt_bboxes'], batch['gt_labels'],
                                                         network.train_cfg)),
        'by picture': lambda: both_ways(per_image_loss(scores, deltas, anchors.boxes, *zip(*truths),
                                                       network.bbox_head.bbox_coder))}, settings.rounds, warm_up=2)
    yield say(f'{title}: assignment and loss, both ways', 'ms', scaled(seconds['ours'], 1000), 'picture by picture',
              scaled(seconds['by picture'], 1000))


def waits(config: str, cfg: Any, batch: Any, device: torch.device, variants: Mapping[str, Variant]) -> Iterator[Measure]:
    """Waits in a step after the first, which may ask; on the CPU, as an accelerator would have them."""
    for name, variant in variants.items():
        step = Step(cfg, batch, device, variant, may_wait=False)
        step()
        step()
        step.optimizer.was_applied()
        states = step.optimizer.optimizer.state.values()
        seen = count_waits(step, device, [state['step'] for state in states if torch.is_tensor(state.get('step'))])
        if seen is not None:
            yield Measure('step', f'{config[:-len(".py")]}, {name}: times that the host waits', '', [seen], target='== 0')
