"""Level O2: half weights and activations, while the float32 weights that the optimizer changes stay where they are.

Within the context, each layer sees half copies of its weights. The copy is part of the graph, so the gradient arrives at the
float32 weight: checkpoints, optimizers and gradient averaging know nothing of it. Norms keep float32 weights and compute in
float32, between activations in half. Source: Micikevicius et al., "Mixed Precision Training", ICLR 2018, sec. 3.1.
"""
from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, List, Tuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)


def keeps_float32(layer: nn.Module) -> bool:
    """Whether a layer computes in float32 at every level: a norm, or one that says so by an attribute of this name."""
    return isinstance(layer, NORMS) or getattr(layer, 'keeps_float32', False)


class HalfWeights:
    """Calling it gives the context within which a network computes in half.

    Args:
        module: the network. Its layers learn to cast what they are given, within the context only.
        dtype: torch.float16 or torch.bfloat16.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype):
        self.dtype = dtype
        self.active = False
        self.places: List[Tuple[nn.Module, str]] = []
        inside = {part for layer in module.modules() if keeps_float32(layer) for part in layer.modules() if part is not layer}
        for layer in module.modules():
            if layer in inside:
                continue  # what it is part of is given float32
            own = [name for name, weight in layer._parameters.items() if weight is not None and weight.is_floating_point()]
            if keeps_float32(layer):
                layer.register_forward_pre_hook(self._give_float32)
                layer.register_forward_hook(self._return_half)
            elif own:
                layer.register_forward_pre_hook(self._give_half)
                self.places += [(layer, name) for name in own]

    @contextmanager
    def __call__(self) -> Iterator[None]:
        exact = [layer._parameters[name] for layer, name in self.places]
        copies = {weight: weight.to(self.dtype) for weight in exact}  # a weight that two layers share is cast once
        self.active = True
        try:
            # An attribute hides the parameter of its name, which stays registered: state_dict() and parameters() are float32.
            for (layer, name), weight in zip(self.places, exact):
                layer.__dict__[name] = copies[weight]
            yield
        finally:
            self.active = False
            for layer, name in self.places:
                layer.__dict__.pop(name, None)

    def _give_half(self, _: nn.Module, inputs: Tuple) -> Any:
        return tuple(cast(value, self.dtype) for value in inputs) if self.active else None

    def _give_float32(self, _: nn.Module, inputs: Tuple) -> Any:
        return tuple(cast(value, torch.float32) for value in inputs) if self.active else None

    def _return_half(self, _: nn.Module, __: Tuple, output: Any) -> Any:
        return cast(output, self.dtype) if self.active else None


def cast(value: Any, dtype: torch.dtype) -> Any:
    """A floating-point tensor in another type; anything else as it is."""
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
