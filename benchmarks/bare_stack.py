"""The network's convolutions, ReLU and pooling and nothing else: the bound of a training step.

No L2 norm, no flattening of scores, no matching, no loss, no optimizer, no colours: what no arrangement of the same network
can do without, at the same precision and in the same layout.
"""
from __future__ import annotations

import copy
from typing import Any, Callable, ContextManager, List, Sequence

import torch
from torch import Tensor, nn

KEPT = (nn.Conv2d, nn.ReLU, nn.MaxPool2d)


class BareStack(nn.Module):
    """Copies of a detector's layers of these kinds, connected as there.

    Args:
        detector: with `backbone.features`, `neck.extra_layers` and the head's convolutions; hooks would be copied too.
    """

    def __init__(self, detector: nn.Module):
        super().__init__()
        features = detector.backbone.features
        self.taps = [sum(isinstance(layer, KEPT) for layer in features[:index + 1]) - 1
                     for index in detector.backbone.out_feature_indices]
        self.features = nn.ModuleList(copied(features))
        self.extra = nn.ModuleList(nn.ModuleList(copied(level.modules())) for level in detector.neck.extra_layers)
        head = detector.bbox_head
        self.heads = nn.ModuleList(nn.ModuleList(copied([*cls.modules(), *reg.modules()]))
                                   for cls, reg in zip(head.cls_convs, head.reg_convs))

    def forward(self, x: Tensor) -> List[Tensor]:
        """(N, 3, H, W) -> the maps of every level's two convolutions."""
        levels = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                levels.append(x)
        for layers in self.extra:
            for layer in layers:
                x = layer(x)
            levels.append(x)
        return [conv(level) for level, convs in zip(levels, self.heads) for conv in convs]


def copied(layers: Any) -> List[nn.Module]:
    return [copy.deepcopy(layer) for layer in layers if isinstance(layer, KEPT)]


class ForwardBackward:
    """Calling it goes forward and backward through a stack, with gradients from nowhere.

    Args:
        stack: where it is to be, in its precision and layout.
        img: (N, 3, H, W) input.
        computing: the context to go forward in.
        wait: until the device has done it.
    """

    def __init__(self, stack: nn.Module, img: Tensor, computing: Callable[[], ContextManager[Any]], wait: Callable[[], Any]):
        self.stack, self.img, self.computing, self.wait = stack, img, computing, wait
        self.gradients: Sequence[Tensor] = ()

    def __call__(self) -> None:
        for parameter in self.stack.parameters():
            parameter.grad = None
        with self.computing():
            maps = self.stack(self.img)
        if not self.gradients:
            self.gradients = [torch.randn_like(output) for output in maps]
        torch.autograd.backward(maps, self.gradients)
        self.wait()


def forward_flops(stack: nn.Module, size: int) -> int:
    """Floating-point operations of the convolutions for one picture of size x size; going backward takes twice as many."""
    total = 0

    def count(layer: nn.Conv2d, _: Any, output: Tensor) -> None:
        nonlocal total
        total += 2 * output.numel() * layer.weight[0].numel()

    handles = [layer.register_forward_hook(count) for layer in stack.modules() if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        stack(torch.zeros(1, 3, size, size, device=next(stack.parameters()).device))
    for handle in handles:
        handle.remove()
    return total
