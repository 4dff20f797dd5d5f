"""Which torch brought what is used here where it is there: the one table that versions of torch are compared with.

The floor is 1.8.1. A name says what one gets, and stands in the error where it is missing.
"""
from __future__ import annotations

import re
from typing import Dict, Tuple

import torch

from mmcv_need.errors import ConfigError

Version = Tuple[int, int]

TORCH_VERSION: Version = tuple(int(part) for part in re.findall(r'\d+', torch.__version__)[:2])

FIRST: Dict[str, Version] = {
    'bfloat16': (1, 10),  # as a kind of half that operators, autocast and communication know
    'autocast in a chosen dtype': (1, 10),  # and on the CPU
    'a second store beside that of the process group': (1, 11),
    'warn_only': (1, 11),  # of use_deterministic_algorithms; before, what has no repeatable form is an error
    'steps counted in tensors': (1, 12),  # by Adam and its like; before, in numbers
    'torch.load with weights_only': (1, 13),
    'modules without memory': (2, 0),  # device 'meta'
    'torch.compile': (2, 1),
    'operations on lists of tensors': (2, 1),  # torch._foreach_norm, and _foreach_mul_ by a tensor
    'pinned memory of every accelerator': (2, 1),  # before, by an argument for one of them only
    'autocast of every accelerator': (2, 1),  # torch.autocast of those that come as an extension
    'collectives that end with a lost peer': (2, 2),  # without a variable in the environment
    'float16 on the CPU': (2, 3),
    'fused optimizers': (2, 5),
    'export to ONNX up to opset 17': (2, 5),  # with the arguments used here
    'export to ONNX from opset 18 on': (2, 6),
}


def has(feature: str) -> bool:
    """Whether this torch has a feature of the table."""
    return FIRST[feature] <= TORCH_VERSION


def needs(feature: str) -> str:
    """What it takes, in words: 'torch 2.1 or newer'."""
    return 'torch {}.{} or newer'.format(*FIRST[feature])


def require(feature: str, instead: str) -> None:
    """Refuse what this torch cannot do.

    Args:
        feature: of the table.
        instead: what to do where it is missing, such as 'leave compile out'.

    Raises:
        ConfigError: this torch is older.
    """
    if not has(feature):
        raise ConfigError(f'{feature} needs {needs(feature)}, and this is {torch.__version__}; {instead}')
