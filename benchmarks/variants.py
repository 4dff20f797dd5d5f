"""Ways to run one training step: precision, layout, and whatever a config can ask for. A new one is a new line of VARIANTS."""
from __future__ import annotations

import copy
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np
import torch

from benchmarks.pictures import random_boxes
from benchmarks.settings import build_network
from mmcv_need import device as devices
from mmcv_need.builder import build_optimizer
from mmcv_need.errors import UserError
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import Precision
from mmdet.apis.train import wrap
from mmdet.core.image.pixels import NO_FILL, PixelOps, row_of
from mmdet.datasets.loader.collate import pad_rows, padded_length


class Variant(NamedTuple):
    """Fields:
        level, dtype: of `precision`.
        channels_last: the device's own layout (mmcv_need/device.py), else contiguous.
        options: changes to the config by dotted name.
    """
    level: str = 'O0'
    dtype: str = 'bfloat16'
    channels_last: bool = True
    options: Tuple[Tuple[str, Any], ...] = ()

    def precision(self, device: torch.device) -> Precision:
        """On a device; float32 has no half to name."""
        return Precision(device) if self.level == 'O0' else Precision(device, self.level, dtype=self.dtype)


CONTIGUOUS = 'fp32, contiguous'
VARIANTS: Dict[str, Variant] = {
    CONTIGUOUS: Variant(channels_last=False),
    'fp32': Variant(),
    'bf16 O1': Variant('O1'),
    'bf16 O2': Variant('O2')}


class Step:
    """The real training step on a batch that is already there: wrapper and OptimizerStep, as the runner calls them; that of
    one of several processes where there is a process group.

    Args:
        cfg: in canonical form.
        batch: as collated.
        device: to run on.
        variant: how.
        may_wait: see OptimizerStep.
    """

    def __init__(self, cfg: Any, batch: Dict[str, Any], device: torch.device, variant: Variant, may_wait: Any = None):
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(dict(variant.options))
        self.device, self.precision = device, variant.precision(device)
        self.network = build_network(cfg).train()
        self.wrapper = wrap(self.network, cfg, device, self.precision)
        self.batch = dict(batch)
        if not variant.channels_last:
            self.network.to(memory_format=torch.contiguous_format)
            self.batch['img'] = self.batch['img'].contiguous()
        clip = (cfg.get('optimizer_config') or {}).get('grad_clip')
        self.optimizer = OptimizerStep(build_optimizer(self.network, cfg), clip, self.precision.loss_scale,
                                       buffers=self.network.buffers(), may_wait=may_wait)

    def __call__(self) -> Dict[str, Any]:
        self.optimizer.zero_grad()
        outputs = self.wrapper.train_step(self.batch)
        self.optimizer.backward(outputs['loss'])
        self.optimizer.clip()
        self.optimizer.step()
        return outputs


def usable(variants: Dict[str, Variant], device: torch.device) -> Dict[str, Variant]:
    """Those that this device, or this torch on it, can compute."""
    able = {}
    for name, variant in variants.items():
        try:
            if variant.level != 'O0':
                devices.check_half(device, getattr(torch, variant.dtype))
        except UserError:
            continue
        able[name] = variant
    return able


def synthetic_batch(size: int, pictures: int, num_classes: int, device: torch.device, seed: int = 0) -> Dict[str, Any]:
    """A batch as the loader makes it, already on the device: noise, with boxes and colour parameters as a pipeline draws."""
    rng = np.random.default_rng(seed)
    img = torch.from_numpy(rng.integers(0, 256, (pictures, size, size, 3), dtype=np.uint8)).permute(0, 3, 1, 2)
    boxes = [random_boxes(rng, (size, size), 1 + rng.poisson(6)).astype(np.float32) for _ in range(pictures)]
    labels = [rng.integers(num_classes, size=len(own)) for own in boxes]
    length = padded_length(max(map(len, boxes)))
    ops = PixelOps.from_rows([_pixel_row(rng, size) for _ in range(pictures)], (size, size))
    return {'img': img.to(device), 'pixel_ops': PixelOps(ops.rows.to(device), *ops[1:]),
            'img_metas': [{'img_shape': (size, size, 3), 'pad_shape': (size, size, 3)}] * pictures,
            'gt_bboxes': pad_rows(boxes, length, 0.0, np.float32).to(device),
            'gt_labels': pad_rows(labels, length, -1, np.int64).to(device)}


def _pixel_row(rng: np.random.Generator, size: int) -> np.ndarray:
    """Every distortion at once, and no fill: the columns of core/image/pixels.py."""
    colour = [rng.uniform(-32, 32), 1, rng.uniform(0.5, 1.5), rng.uniform(0.5, 1.5), rng.uniform(-18, 18), 2, 0, 1]
    return row_of(colour, NO_FILL, (size, size), (123.675, 116.28, 103.53, 1, 1, 1, 1), (0, 0, size, size))
