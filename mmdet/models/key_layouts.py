"""Names of weights in older checkpoints, and in torchvision's.

Before MMDetection 2.14, and so in Ascend's ModelZoo, SSD's extra layers and its L2 norm stood in the backbone, and each
convolution of the head stood alone. The weights are the same; only their names differ. In torchvision's `ssd300_vgg16`, the
columns of the classes have another order too: background first, then COCO's ids with their gaps.
"""
from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional

import torch
from torch import Tensor

EXTRA = re.compile(r'backbone\.extra\.(\d+)\.(weight|bias)')
L2_NORM = 'backbone.l2_norm.'
HEAD = re.compile(r'(bbox_head\.(?:cls|reg)_convs\.\d+)\.(weight|bias)')

# torchvision's: conv5_1 to conv5_3 (after pool4, features.23), fc6 and fc7 are its first extra block.
TV_CONV5 = re.compile(r'backbone\.extra\.0\.(\d)\.(weight|bias)')
TV_FC = re.compile(r'backbone\.extra\.0\.7\.([13])\.(weight|bias)')
TV_EXTRA = re.compile(r'backbone\.extra\.([1-9])\.([02])\.(weight|bias)')
TV_HEAD = re.compile(r'head\.(classification|regression)_head\.module_list\.(\d+)\.(weight|bias)')
TV_SCALE = 'backbone.scale_weight'
POOL4, FC6 = 23, 30  # where pool4 and the layer before fc6 stand in VGG's `features`

COCO_IDS = 91  # columns of a network of torchvision's that was trained on COCO: background, and the ids 1 to 90
NO_CLASS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # ids of COCO that nothing is annotated with


def current_key(key: str) -> str:
    """The name, since MMDetection 2.14, of a weight of SSD; a name that is no other layout's stays as it is."""
    extra, head = EXTRA.fullmatch(key), HEAD.fullmatch(key)
    if extra:  # eight (SSD512: ten) convolutions in a row became pairs
        level, place = divmod(int(extra.group(1)), 2)
        return f'neck.extra_layers.{level}.{place}.conv.{extra.group(2)}'
    if head:
        return f'{head.group(1)}.0.{head.group(2)}'
    if key.startswith(L2_NORM):
        return key.replace(L2_NORM, 'neck.l2_norm.', 1)
    return _of_torchvision(key)


def _of_torchvision(key: str) -> str:
    """The name of a weight of torchvision's ssd300_vgg16 (and of its high-resolution form)."""
    conv5, fc, extra, head = (form.fullmatch(key) for form in (TV_CONV5, TV_FC, TV_EXTRA, TV_HEAD))
    if conv5:
        return f'backbone.features.{POOL4 + int(conv5.group(1))}.{conv5.group(2)}'
    if fc:
        return f'backbone.features.{FC6 + int(fc.group(1))}.{fc.group(2)}'
    if extra:
        return f'neck.extra_layers.{int(extra.group(1)) - 1}.{int(extra.group(2)) // 2}.conv.{extra.group(3)}'
    if head:
        return f"bbox_head.{'cls' if head.group(1) == 'classification' else 'reg'}_convs.{head.group(2)}.0.{head.group(3)}"
    return 'neck.l2_norm.weight' if key == TV_SCALE else key


def current_form(state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """A state dict whose columns of the classes stand in our order; only torchvision's stand in another.

    Its classification head has K columns for each default box, background first. Of 91, those of COCO's 80 classes come first
    here, then those of the 10 ids without a class, then background; of any other K, background moves to the end.
    """
    formed, columns = dict(state), torchvision_columns(state)
    if columns is None:
        return formed
    order = torch.tensor(class_order(columns))
    for key, value in state.items():
        head = TV_HEAD.fullmatch(key)
        if head and head.group(1) == 'classification':
            formed[key] = value.reshape(-1, columns, *value.shape[1:])[:, order].reshape(value.shape)
    return formed


def torchvision_columns(state: Mapping[str, Tensor]) -> Optional[int]:
    """How many columns of scores torchvision's network has, background among them; None if it is not such a network's state.

    Where there are 4 offsets for each default box of a cell, there are so many scores.
    """
    found = set()
    for key, value in state.items():
        head = TV_HEAD.fullmatch(key)
        if head and head.group(1) == 'classification':
            offsets = state.get(key.replace('classification', 'regression'))
            boxes = 0 if offsets is None or offsets.dim() == 0 else len(offsets) // 4
            found.add(len(value) // boxes if boxes and value.dim() and len(value) % boxes == 0 else None)
    return found.pop() if len(found) == 1 else None


def class_order(columns: int) -> List[int]:
    """For each of our columns, its place among torchvision's."""
    if columns == COCO_IDS:
        return [*(number for number in range(1, COCO_IDS) if number not in NO_CLASS), *NO_CLASS, 0]
    return [*range(1, columns), 0]
