"""What the labels mean: a head, its data and its checkpoint have to agree."""
from __future__ import annotations

import os
import warnings
from typing import Any, Mapping, Optional, Sequence, Tuple, Union

from torch import Tensor, nn

from mmcv_need.config import Config
from mmcv_need.errors import CheckpointError, ConfigError
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.models.key_layouts import torchvision_columns


def num_classes_of(model: nn.Module) -> Optional[int]:
    """How many classes a detector's head has; None if a detector of somebody's own does not say."""
    return getattr(getattr(model, 'bbox_head', None), 'num_classes', None)


def check_classes(model: nn.Module, dataset: Any, cfg: Config) -> None:
    """The head has as many classes as the data.

    Raises:
        ConfigError: it has not.
    """
    expected, found = len(dataset.CLASSES), num_classes_of(model)
    if found not in (None, expected):
        names = ', '.join(dataset.CLASSES[:6]) + (', ...' if expected > 6 else '')
        raise ConfigError(f"{cfg.where('model.bbox_head.num_classes')}: model.bbox_head.num_classes is {found}, but the data "
                          f'have {expected} classes ({names}). Set num_classes={expected}, or `classes` of the dataset')


def check_columns(model: nn.Module, weights: Mapping[str, Tensor], checkpoint: str) -> None:
    """The head has as many columns of scores as the weights, where these are torchvision's.

    Raises:
        CheckpointError: it has not.
    """
    found, own = torchvision_columns(weights), getattr(model.bbox_head, 'columns', None)
    if found is not None and own is not None and found != own:
        raise CheckpointError(f"{checkpoint}: is of torchvision's ssd300_vgg16, with {found} columns of scores; this model has "
                              f'{own}. For weights trained on COCO use configs/ssd300_torchvision_coco.py, for others with '
                              f'model.bbox_head.num_classes={found - 1} and unnamed_classes=0')


def difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """The first label that means two things, such as "label 3 is 'cat' here and 'dog' there"; '' if there is none."""
    for label, (here, there) in enumerate(zip(ours, theirs)):
        if here != there:
            return f"label {label} is '{here}' here and '{there}' there"
    return '' if len(ours) == len(theirs) else f'{len(ours)} classes here and {len(theirs)} there'


def check_same_classes(cfg: Config, dataset: Any, trained: Sequence[str]) -> None:
    """The labels of `data.val` mean what those of `data.train` do.

    Raises:
        ConfigError: they do not.
    """
    found = difference(dataset.CLASSES, trained)
    if found:
        raise ConfigError(f"{cfg.where('data.val')}: data.val: not the classes of data.train: {found}. Labels follow the "
                          f'categories of the annotation file for COCO, and `classes` for others; bring both to one order')


def warn_of_other_classes(cfg: Config, dataset: Any, checkpoint: str, trained: Union[Sequence[str], str, None]) -> None:
    """Say so if a checkpoint names other classes than `data.test`. It may be right: MMDetection names them in the order of
    `classes`, and labels them in the order of the annotation file.
    """
    names = (trained,) if isinstance(trained, str) else tuple(trained or ())
    found = difference(dataset.CLASSES, names) if names else ''
    if found:
        warnings.warn(f"{cfg.where('data.test')}: data.test: not the classes that {checkpoint} names: {found}; do its labels "
                      f'mean those of this dataset?', UserWarning, stacklevel=2)


def label_names(given: Union[Sequence[str], str, None], num_classes: int,
                checkpoint: Union[str, os.PathLike[str], None]) -> Tuple[str, ...]:
    """Names of a head's labels: the checkpoint's where they fit, else COCO's for 80 labels, else numbers.

    Args:
        given: what the checkpoint names.
        num_classes: of the head.
        checkpoint: for the warning.
    """
    names = (given,) if isinstance(given, str) else tuple(given or ())
    if len(names) == num_classes:
        return names
    is_coco = num_classes == len(COCO_CLASSES)
    if names or not is_coco:
        found = f'{checkpoint}: names {len(names) or "no"} classes' if checkpoint else 'no checkpoint names the classes'
        chosen = "have COCO's names" if is_coco else 'are called class 0, class 1, ...'
        warnings.warn(f'{found}, and model.bbox_head.num_classes is {num_classes}: the labels {chosen}', UserWarning,
                      stacklevel=3)
    return COCO_CLASSES if is_coco else tuple(f'class {label}' for label in range(num_classes))
