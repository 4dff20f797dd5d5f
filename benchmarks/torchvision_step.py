"""torchvision's SSD300, where torchvision imports: the same batch through its training step."""
from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Callable, Dict, Mapping

import torch

from benchmarks.machine import wait_for
from benchmarks.variants import Variant
from mmcv_need import device as devices

try:
    from torchvision.models.detection import ssd300_vgg16
except Exception:  # not there, or built for another torch: it may raise anything
    ssd300_vgg16 = None


def torchvision_steps(size: int, batch: Mapping[str, Any], device: torch.device,
                      variants: Mapping[str, Variant]) -> Dict[str, Callable[[], None]]:
    """Its step in each precision that has no layout or weights of ours: float32 as it comes, and autocast; {} without it."""
    if ssd300_vgg16 is None or size != 300:
        return {}
    precisions = {name: variant for name, variant in variants.items() if variant.channels_last and variant.level != 'O2'}
    return {f'torchvision, {name}': TorchvisionStep(batch, device, variant) for name, variant in precisions.items()}


class TorchvisionStep:
    """Calling it takes one step of SGD, pictures as tensors of 0..1 in a list, as its recipe has them."""

    def __init__(self, batch: Mapping[str, Any], device: torch.device, variant: Variant):
        self.device, self.variant = device, variant
        self.model = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=81).to(device).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=2e-3, momentum=0.9, weight_decay=5e-4)
        self.pictures = list(batch['img'].float().div(255).contiguous())
        self.targets = [{'boxes': boxes[labels >= 0], 'labels': labels[labels >= 0] + 1}
                        for boxes, labels in zip(batch['gt_bboxes'], batch['gt_labels'])]

    def __call__(self) -> None:
        half = self.variant.level != 'O0'
        self.optimizer.zero_grad()
        with devices.autocast(self.device, getattr(torch, self.variant.dtype)) if half else nullcontext():
            losses = self.model(self.pictures, self.targets)
        sum(losses.values()).backward()
        self.optimizer.step()
        wait_for(self.device)
