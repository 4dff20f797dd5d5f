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
from benchmarks.settings import Settings, build_network, read_config
from benchmarks.variants import Variant, usable
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.precision import Precision
from mmdet.core.bbox.iou import bbox_overlaps
from mmdet.core.post_processing.detections import Detections, find_candidates, suppress

try:
    from torchvision.ops import batched_nms
except Exception:  # not there, or built for another torch: it may raise anything
    batched_nms = None

CANDIDATES = 3700  # into NMS of an SSD300 picture, typically; at most 1,000 a level
THRESHOLD = 0.45
VARIANTS = {'fp32': Variant(), 'bf16 O2': Variant('O2')}


def measure(settings: Settings) -> Iterator[Measure]:
    """Latency of the whole, forward and detections; post-processing on its own; NMS on its own."""
    cfg = read_config(settings.config)
    network = build_network(cfg).eval()
    size = cfg.model.bbox_head.anchor_generator.get('input_size') or cfg.input_size
    outputs, metas = typical_outputs(network, size, settings.device, 400 if settings.small else CANDIDATES)
    yield from after_the_network(network, outputs, metas, settings)
    for name, variant in usable(VARIANTS, settings.device).items():
        yield from whole(cfg, name, variant, size, outputs, metas, settings)


def typical_outputs(network: nn.Module, size: int, device: torch.device, wanted: int) -> Tuple[Dict[str, Any], Any]:
    """Scores and offsets of one picture with about `wanted` candidates: default boxes score by their overlap with objects.

    A trained network's candidates are clusters around objects, many of each; so are these. Noise decides their order.
    """
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    with torch.no_grad():
        levels = network.extract_feat(torch.zeros(1, 3, size, size))
    anchors = network.bbox_head.anchors(levels)
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
    """Both the whole of it and NMS alone keep what class by class and box by box is kept, or this raises."""
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
    check_equal(calls['ours']()[0], calls['plain']()[0])
    check_equal(calls['NMS'](), calls['NMS per class']())
    seconds = {name: scaled(values, 1000) for name, values in interleave(calls, 4 * settings.rounds, warm_up=2).items()}
    what = f'after the network, a picture of {len(candidates.scores):,} candidates'
    yield Measure('inference', what, 'ms', seconds['ours'], 'class by class', seconds['plain'])
    yield Measure('inference', what, 'ms', seconds['ours'], target='' if settings.small else '<= 5')
    yield Measure('inference', f'boxes kept of them, equal to those of class by class: {len(calls["ours"]()[0].scores)}', '',
                  [1.0], target='== 1')
    for name in seconds:
        if name.startswith('NMS '):
            yield Measure('inference', 'NMS alone', 'ms', seconds['NMS'], name[4:], seconds[name])


def check_equal(ours: Detections, theirs: Detections) -> None:
    """The same boxes, in the same order, to the last bit."""
    for one, other in zip(ours, theirs):
        np.testing.assert_array_equal(one, other)


def by_cv2(found: Detections, cfg: Any) -> np.ndarray:
    """Indices that OpenCV's batched NMS keeps."""
    boxes = np.concatenate([found.bboxes[:, :2], found.bboxes[:, 2:] - found.bboxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), cfg.score_thr, THRESHOLD)
    return np.asarray(kept)[:cfg.max_per_img]


def whole(cfg: Any, name: str, variant: Variant, size: int, outputs: Dict[str, Any], metas: Any,
          settings: Settings) -> Iterator[Measure]:
    """From pixels on the device to detections. The network is untrained, so that it forwards noise, and the typical picture's
    outputs take the place of its own."""
    device, batch = settings.device, settings.batches[-1]
    network = build_network(cfg).eval()
    kind = {} if variant.level == 'O0' else {'dtype': variant.dtype}
    wrapper = MMDataParallel(network, device, precision=Precision(device, variant.level, **kind)).eval()
    given = [outputs[name] for name in ('scores', 'deltas', 'anchors')]
    pictures = {count: torch.rand(count, 3, size, size, device=device).to(memory_format=torch.channels_last)
                for count in (1, batch)}

    @torch.no_grad()
    def forward(img: Tensor) -> None:
        with wrapper.computing():
            network.bbox_head(network.extract_feat(img))
        wait_for(device)

    def detect(img: Tensor) -> None:
        forward(img)
        for _ in range(len(img)):
            network.bbox_head.get_bboxes(*given, metas, network.test_cfg, True)

    calls = {'one': functools.partial(detect, pictures[1]), 'forward': functools.partial(forward, pictures[1]),
             'many': functools.partial(detect, pictures[batch])}
    seconds = interleave(calls, settings.rounds)
    one, alone = (scaled(seconds[key], 1000) for key in ('one', 'forward'))
    say = functools.partial(Measure, 'inference')
    target = '<= 2.5' if device.type != 'cpu' and not settings.small and variant.level != 'O0' else ''
    yield say(f'{name}, one picture', 'ms', one, target=target)
    yield say(f'{name}, one picture: after the network', 'ms', [a - b for a, b in zip(one, alone)], 'all of it', one,
              relation='share')
    yield say(f'{name}, batch {batch}', 'images/s', rates(seconds['many'], batch))
