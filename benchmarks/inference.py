"""Detection: latency of one picture, pictures a second, and what comes after the network."""
from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Iterator, Tuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.interleaved import Measure, interleave, rates, scaled
from benchmarks.machine import wait_for
from benchmarks.pictures import random_boxes
from benchmarks.reference_nms import per_class, post_process
from benchmarks.settings import Settings, build_network, input_size, read_config
from benchmarks.variants import Variant, usable
from mmcv_need import device as devices
from mmcv_need.data_parallel import MMDataParallel
from mmdet.core.bbox.iou import bbox_overlaps
from mmdet.core.post_processing.detections import Detections, find_candidates, suppress

try:
    from torchvision.ops import batched_nms
    batched_nms(torch.zeros(1, 4), torch.zeros(1), torch.zeros(1, dtype=torch.int64), 0.5)  # some import without their kernels
except Exception:  # not there, or built for another torch: it may raise anything
    batched_nms = None

CANDIDATES = 3700  # into NMS of an SSD300 picture, typically; at most 1,000 a level
THRESHOLD = 0.45
VARIANTS = {'fp32': Variant(), 'bf16 O1': Variant('O1'), 'bf16 O2': Variant('O2')}


def measure(settings: Settings) -> Iterator[Measure]:
    """Latency of the whole, forward and detections; post-processing on its own; NMS on its own."""
    cfg = read_config(settings.config)
    network = build_network(cfg).eval()
    size = input_size(cfg)
    outputs, metas = typical_outputs(network, size, settings.device, 400 if settings.small else CANDIDATES)
    yield from after_the_network(network, outputs, metas, settings)
    yield from whole(cfg, size, outputs, metas, settings)


def typical_outputs(network: nn.Module, size: int, device: torch.device, wanted: int) -> Tuple[Dict[str, Any], Any]:
    """Scores and offsets of one picture with about `wanted` candidates: default boxes score by their overlap with objects.

    A trained network's candidates are clusters around objects, many of each; so are these. Noise decides their order.
    """
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    with torch.no_grad():
        *_, levels = network.predict(torch.zeros(1, 3, size, size))
    anchors = network.bbox_head.anchors(levels, torch.device('cpu'))
    classes = network.bbox_head.num_classes
    objects = torch.from_numpy(random_boxes(rng, (size, size), 12)).float()
    overlaps = bbox_overlaps(anchors.boxes, objects)
    nearness = torch.zeros(len(anchors.boxes), classes)
    nearness[:, torch.from_numpy(rng.integers(classes, size=len(objects)))] = overlaps
    noise = torch.randn(nearness.shape, generator=generator)
    meta = {'img_shape': (size, size, 3), 'scale_factor': np.array([2.0, 1.5, 2.0, 1.5], np.float32)}
    deltas = torch.randn(len(anchors.boxes), 4, generator=generator) * 0.5
    low, high = -10.0, 10.0
    for _ in range(30):  # how far above background: looked for
        shift = (low + high) / 2
        scores = torch.cat([8 * nearness + noise + shift, torch.full((len(nearness), 1), 8.0)], dim=1)
        found = find_candidates(scores[None], deltas[None], anchors, network.bbox_head.bbox_coder, [meta], network.test_cfg,
                                True)
        low, high = (shift, high) if len(found[0].scores) < wanted else (low, shift)
    outputs = {'scores': scores[None].to(device), 'deltas': deltas[None].to(device), 'anchors': anchors.to(device),
               'candidates': found[0]}
    return outputs, [meta]


def after_the_network(network: nn.Module, outputs: Dict[str, Any], metas: Any, settings: Settings) -> Iterator[Measure]:
    """The whole of it and NMS alone, beside what goes class by class and box by box and must keep the same."""
    head, cfg, candidates = network.bbox_head, network.test_cfg, outputs['candidates']
    given = [outputs[name] for name in ('scores', 'deltas', 'anchors')]
    calls: Dict[str, Callable[[], Any]] = {
        'ours': lambda: head.get_bboxes(*given, metas, cfg, True),
        'plain': lambda: post_process(*given, head.bbox_coder, metas, cfg, THRESHOLD),
        'NMS': lambda: suppress([candidates], cfg),
        'NMS per class': lambda: per_class(candidates, THRESHOLD, cfg.max_per_img),
        'NMS cv2': lambda: by_cv2(candidates, cfg)}
    if batched_nms is not None:
        tensors = [torch.from_numpy(field) for field in candidates]
        calls['NMS torchvision'] = lambda: batched_nms(*tensors, THRESHOLD)[:cfg.max_per_img].numpy()
    unequal = differences(calls['ours']()[0], calls['plain']()[0]) + differences(calls['NMS'](), calls['NMS per class']())
    seconds = {name: scaled(values, 1000) for name, values in interleave(calls, 4 * settings.rounds, warm_up=2).items()}
    what = f'after the network, a picture of {len(candidates.scores):,} candidates'
    yield Measure('inference', what, 'ms', seconds['ours'], 'class by class', seconds['plain'])
    yield Measure('inference', what, 'ms', seconds['ours'], target='' if settings.small else '<= 5')
    yield Measure('inference', 'boxes that class by class would have kept, and others or in another order', '', [unequal],
                  target='== 0')
    for name in seconds:
        if name.startswith('NMS '):
            yield Measure('inference', 'NMS alone', 'ms', seconds['NMS'], name[4:], seconds[name])


def differences(ours: Detections, theirs: Detections) -> int:
    """Places at which the two have not the same box, score and label, to the last bit."""
    count = min(len(ours.scores), len(theirs.scores))
    equal = (ours.bboxes[:count] == theirs.bboxes[:count]).all(axis=1) & (ours.scores[:count] == theirs.scores[:count])
    equal &= ours.labels[:count] == theirs.labels[:count]
    return max(len(ours.scores), len(theirs.scores)) - int(equal.sum())


def by_cv2(found: Detections, cfg: Any) -> np.ndarray:
    """Indices that OpenCV's batched NMS keeps."""
    boxes = np.concatenate([found.bboxes[:, :2], found.bboxes[:, 2:] - found.bboxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), cfg.score_thr, THRESHOLD)
    return np.asarray(kept)[:cfg.max_per_img]


def whole(cfg: Any, size: int, outputs: Dict[str, Any], metas: Any, settings: Settings) -> Iterator[Measure]:
    """From pixels on the device to detections, in every precision in turn.

    The network is untrained and would find anything or nothing: the typical picture's outputs take the place of its own.
    """
    device, batch = settings.device, settings.batches[-1]
    variants = usable(VARIANTS, device)
    detectors = {name: Detecting(cfg, variant, device, outputs, metas) for name, variant in variants.items()}
    pictures = {count: torch.rand(count, 3, size, size, device=device).to(memory_format=devices.memory_format(device))
                for count in (1, batch)}
    calls: Dict[Any, Callable[[], Any]] = {}
    for name, detector in detectors.items():
        calls[name, 'one'] = functools.partial(detector, pictures[1])
        calls[name, 'network'] = functools.partial(detector.forward, pictures[1])
        calls[name, 'many'] = functools.partial(detector, pictures[batch])
    seconds = interleave(calls, settings.rounds)
    first = next(iter(variants))
    say = functools.partial(Measure, 'inference')
    for name in variants:
        one, alone, many = (scaled(seconds[name, key], 1000) for key in ('one', 'network', 'many'))
        target = '<= 2.5' if device.type != 'cpu' and not settings.small and name != first else ''
        yield say(f'{name}, one picture', 'ms', one, target=target)
        after = [max(0.0, a - b) for a, b in zip(one, alone)]
        yield say(f'{name}, one picture: after the network', 'ms', after, 'all of it', one, relation='share')
        yield say(f'{name}, batch {batch}', 'images/s', rates(scaled(many, 1e-3), batch))
        if name != first:
            yield say(f'{name}, one picture', 'ms', one, first, scaled(seconds[first, 'one'], 1000))
            yield say(f'{name}, batch {batch}', 'ms', many, first, scaled(seconds[first, 'many'], 1000))


class Detecting:
    """Calling it detects in a batch, with a typical picture's outputs for each picture after the network."""

    def __init__(self, cfg: Any, variant: Variant, device: torch.device, outputs: Dict[str, Any], metas: Any):
        self.device, self.metas = device, metas
        self.network = build_network(cfg).eval()
        self.wrapper = MMDataParallel(self.network, device, precision=variant.precision(device))
        self.given = [outputs[name] for name in ('scores', 'deltas', 'anchors')]

    def forward(self, img: Tensor) -> None:
        with torch.no_grad(), self.wrapper.computing():
            self.network.predict(img)
        wait_for(self.device)

    def __call__(self, img: Tensor) -> None:
        self.forward(img)
        for _ in range(len(img)):
            self.network.bbox_head.get_bboxes(*self.given, self.metas, self.network.test_cfg, True)
