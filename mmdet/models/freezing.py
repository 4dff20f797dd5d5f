"""Layers that do not learn: their weights stay as they were loaded, and their norms use the statistics that were loaded too."""
from __future__ import annotations

from typing import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze(layers: Iterable[nn.Module]) -> None:
    """Take layers out of learning. An optimizer and DDP, which are made later, leave their weights out."""
    for layer in layers:
        layer.requires_grad_(False)


def keep_in_evaluation(frozen: Iterable[nn.Module], network: nn.Module, norm_eval: bool) -> None:
    """What training mode does not change: call it after the network's own `train`.

    Args:
        frozen: layers that do not learn.
        network: that they are part of.
        norm_eval: whether batch norms use their running statistics, and leave them as they are, in all of it.
    """
    for layer in frozen:
        layer.eval()
    for layer in network.modules() if norm_eval else ():
        if isinstance(layer, _BatchNorm):
            layer.eval()
