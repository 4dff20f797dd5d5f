"""A config's network on pictures without pixels: whether its parts fit each other, and how many default boxes it has."""
from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, UserError
from mmcv_need.refusals import refusal
from mmcv_need.registry import build
from mmcv_need.torch_versions import has
from mmdet.models import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector

SLACK = 0.25  # how far, in sides of the picture, the cells of a level may reach beyond it or stay behind


class Network(NamedTuple):
    """Fields:
        boxes: default boxes of a picture.
        num_classes: of the head.
        doubts: what is hardly meant so.
    """
    boxes: int
    num_classes: int
    doubts: List[str]


def without_weights(cfg: Config) -> Config:
    """A copy whose network reads no weights from files."""
    cfg = copy.deepcopy(cfg)
    for section in (cfg.model, *(cfg.model.get(part) for part in ('backbone', 'neck', 'bbox_head'))):
        if isinstance(section, dict) and 'init_cfg' in section:
            own = section['init_cfg'] if isinstance(section['init_cfg'], (list, tuple)) else [section['init_cfg']]
            section['init_cfg'] = [one for one in own if isinstance(one, dict) and 'checkpoint' not in one] or None
    return cfg


def try_network(cfg: Config, size: Optional[Tuple[int, int]], batch: int) -> Optional[Network]:
    """Make the network of a config, and call it on a batch as in training.

    Weights are neither read nor fetched, and, where torch can (2.0), nothing is computed but shapes. The generators of random
    numbers are left as they are.

    Args:
        cfg: in canonical form, its model free of faults by name and argument.
        size: (height, width) of the pictures; None only makes the network.
        batch: how many pictures.

    Returns:
        None where nothing is known of default boxes: of a detector or a head in MMDetection's manner.

    Raises:
        ConfigError: a part cannot be made, or cannot take what the one before it gives.
    """
    with torch.random.fork_rng(devices=[]):
        model = build(without_weights(cfg), DETECTORS, key='model')
    if size is None or not isinstance(model, SingleStageDetector):
        return None
    device = torch.device('cpu')
    if not is_of_this_toolkit(model):  # code of somebody's own may ask for numbers
        batch = min(batch, 2)
    elif has('modules without memory'):
        with suppress(NotImplementedError):
            device, model = torch.device('meta'), model.to('meta')
    with torch.no_grad():
        return _try_parts(cfg, model, torch.zeros(batch, 3, *size, device=device))


def is_of_this_toolkit(model: nn.Module) -> bool:
    """Whether all parts of a network are this toolkit's or torch's."""
    return all(type(part).__module__.partition('.')[0] in ('mmdet', 'torch') for part in model.modules())


def _try_parts(cfg: Config, model: Any, img: Tensor) -> Optional[Network]:
    head = model.bbox_head
    features = _call(cfg, 'model.backbone', model.backbone, img, img)
    levels = _call(cfg, 'model.neck', model.neck, features, img) if hasattr(model, 'neck') else features
    if model.head_takes_lists:
        _call(cfg, 'model.bbox_head', head, levels, img)
        return None
    anchors = head.anchor_generator
    if len(levels) != anchors.num_levels:
        key = 'model.bbox_head.anchor_generator'
        raise ConfigError(f'{cfg.where(key)}: {key}: has {anchors.num_levels} levels of default boxes for {len(levels)} '
                          f'feature maps ({_shapes(levels)})'.lstrip(': '))
    scores, _ = _call(cfg, 'model.bbox_head', head, levels, img)
    return Network(scores.size(1), head.num_classes, _far_strides(cfg, anchors.strides, levels, img))


def _call(cfg: Config, key: str, part: Callable[..., Any], given: Any, img: Tensor) -> Any:
    try:
        return part(given)
    except UserError:
        raise
    except (RuntimeError, ValueError, LookupError, TypeError) as error:
        settings, reason = cfg.model.get(key.split('.')[1]), str(error).splitlines()[0]
        raise refusal(cfg.where, key, settings if isinstance(settings, dict) else {},
                      f'{type(part).__name__} cannot take what it is given in training: '
                      f'{_shapes([given] if isinstance(given, Tensor) else given)} ({reason})') from error


def _shapes(maps: Sequence[Any]) -> str:
    return ', '.join(' x '.join(map(str, level.shape)) for level in maps)


def _far_strides(cfg: Config, strides: Sequence[Tuple[float, float]], levels: Sequence[Tensor], img: Tensor) -> List[str]:
    """A line for each level whose default boxes do not spread over the picture."""
    found = []
    for i, (stride, level) in enumerate(zip(strides, levels)):
        for axis, pixels, cells, side in (('wide', stride[0], level.size(3), img.size(3)),
                                          ('high', stride[1], level.size(2), img.size(2))):
            if abs(pixels * cells - side) > SLACK * side:
                key = 'model.bbox_head.anchor_generator.strides'
                found.append(f'{cfg.where(key)}: {key}: level {i} has {cells} cells of {pixels:g} pixels, and the picture is '
                             f'{side} {axis}: its default boxes do not spread over it'.lstrip(': '))
                break
    return found
