"""Names of weights in older checkpoints.

Before MMDetection 2.14, and so in Ascend's ModelZoo, SSD's extra layers and its L2 norm stood in the backbone, and each
convolution of the head stood alone. The weights are the same; only their names differ.
"""
from __future__ import annotations

import re

EXTRA = re.compile(r'backbone\.extra\.(\d+)\.(weight|bias)')
L2_NORM = 'backbone.l2_norm.'
HEAD = re.compile(r'(bbox_head\.(?:cls|reg)_convs\.\d+)\.(weight|bias)')


def current_key(key: str) -> str:
    """The name, since MMDetection 2.14, of a weight of SSD; a name that is not an old one stays as it is."""
    extra, head = EXTRA.fullmatch(key), HEAD.fullmatch(key)
    if extra:  # eight (SSD512: ten) convolutions in a row became pairs
        level, place = divmod(int(extra.group(1)), 2)
        return f'neck.extra_layers.{level}.{place}.conv.{extra.group(2)}'
    if head:
        return f'{head.group(1)}.0.{head.group(2)}'
    return key.replace(L2_NORM, 'neck.l2_norm.', 1) if key.startswith(L2_NORM) else key
