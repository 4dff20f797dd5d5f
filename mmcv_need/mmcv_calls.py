"""Two functions with MMCV's arguments, for code that calls them; this toolkit's own are in weights.py and builder.py."""
from __future__ import annotations

from logging import Logger
from typing import Any, Dict, Mapping, Optional

import torch
from torch import nn

from mmcv_need import builder
from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.pretrained import local_file
from mmcv_need.weights import load_weights, state_dict_of


def load_checkpoint(model: nn.Module, filename: str, map_location: Any = None, strict: bool = False,
                    logger: Optional[Logger] = None) -> Dict[str, Any]:
    """Load weights into a model, on whatever device it is.

    Args:
        filename: a path, an address, or a name such as 'open-mmlab://vgg16_caffe'.
        map_location: no effect: files are read on the host.
        strict: whether all must fit; else `logger` hears of what does not.

    Returns:
        The content of the file.

    Raises:
        CheckpointError: it cannot be read, or does not fit and `strict`.
    """
    content = read_checkpoint(local_file(filename))
    mismatch = load_weights(model, state_dict_of(content), filename, strict=strict)
    if logger is not None and any(mismatch):
        logger.warning('%s:\n%s', filename, mismatch.table())
    return content


def build_optimizer(model: nn.Module, cfg: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of settings such as dict(type='SGD', lr=2e-3, momentum=0.9)."""
    return builder.build_optimizer(model, {'optimizer': cfg})
