"""Detect in single pictures."""
from __future__ import annotations

import copy
import os
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need.averages import evaluated_weights
from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.config import Config
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.errors import ConfigError
from mmcv_need.pretrained import local_file
from mmcv_need.registry import build, check
from mmcv_need.weights import load_weights
from mmdet.apis.checks import require
from mmdet.apis.classes import check_columns, label_names, num_classes_of
from mmdet.apis.custom_imports import import_custom_modules
from mmdet.apis.dataset_lists import first_dataset
from mmdet.apis.dialects import canonical
from mmdet.apis.test import detect, finish_batch
from mmdet.datasets import PIPELINES
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Compose, Sample
from mmdet.models import DETECTORS

Path = Union[str, 'os.PathLike[str]']
Picture = Union[Path, np.ndarray]


class Detector:
    """A detector ready for `inference_detector`.

    Attributes:
        model: the wrapped network, in evaluation mode.
        cfg: its config.
        CLASSES: names of its labels.
    """

    def __init__(self, model: MMDataParallel, cfg: Config, classes: Sequence[str]):
        self.model = model.eval()
        self.cfg = cfg
        self.CLASSES = tuple(classes)
        self.pipeline = Compose(build(cfg, PIPELINES, key=f"{first_dataset(cfg.data.test, 'data.test')}.pipeline"))


def init_detector(config: Union[Path, Config], checkpoint: Optional[Path] = None, device: str = 'auto',
                  cfg_options: Optional[dict] = None, allow_custom_imports: bool = False) -> Detector:
    """A detector from a config and a checkpoint.

    Args:
        config: path, or a Config, which stays as it is.
        checkpoint: weights, and names of the classes; None leaves the network untrained.
        device: 'auto', 'npu', 'cuda', 'cpu', or one of them with a card, such as 'npu:1'.
        cfg_options: changes to the config by dotted name.
        allow_custom_imports: whether to import the modules that the config's `custom_imports` names (custom_imports.py).
    """
    cfg = copy.deepcopy(config) if isinstance(config, Config) else Config.fromfile(config)
    cfg.merge_from_dict(cfg_options or {})
    import_custom_modules(cfg, allow_custom_imports)
    cfg = canonical(cfg)
    require(cfg, 'model.backbone', 'data.test')
    target = devices.select(device)
    network, meta = load_detector(cfg, None if checkpoint is None else os.fspath(checkpoint))
    named = meta.get('CLASSES') or ()
    classes = label_names(named, num_classes_of(network) or len(named), checkpoint)
    return Detector(MMDataParallel(network, target, finish_batch), cfg, classes)


def load_detector(cfg: Config, checkpoint: Optional[str]) -> Tuple[nn.Module, Mapping[str, Any]]:
    """The network of a config with a checkpoint's weights, all of which must fit; and what the checkpoint says of itself.

    Args:
        cfg: in canonical form; `init_cfg` of detector and backbone is set to None, since the checkpoint has all weights.
        checkpoint: path, address, or name (mmcv_need/pretrained.py); None leaves the network untrained.
    """
    check(cfg, DETECTORS, key='model')
    for section in (cfg.model, cfg.model.get('backbone')):  # a backbone of somebody's own need not have such an argument
        if isinstance(section, dict) and 'init_cfg' in section:
            section['init_cfg'] = None
    content = {} if checkpoint is None else read_checkpoint(local_file(checkpoint))
    network = build(cfg, DETECTORS, key='model')
    if checkpoint is not None:
        weights = evaluated_weights(content)
        check_columns(network, weights, checkpoint)
        load_weights(network, weights, checkpoint, strict=True)
    return network, content.get('meta') or {}


def inference_detector(detector: Detector, imgs: Union[Picture, Sequence[Picture]]) -> Any:
    """Detections in one picture or several, as MMDetection gives them.

    Args:
        detector: from `init_detector`.
        imgs: a path or an array (h, w, 3) uint8 B, G, R; or a list of them, which makes one batch.

    Returns:
        For each picture a list with an array (n, 5) for each class: x1, y1, x2, y2 in pixels, and score. Not in a list if
        `imgs` is not.
    """
    single = isinstance(imgs, (str, os.PathLike, np.ndarray))
    pictures: List[Picture] = [imgs] if single else list(imgs)
    if not pictures:
        raise ConfigError('inference_detector needs at least one picture')
    finish = not devices.finishes_pictures(detector.model.device)
    batch = collate([detector.pipeline(_sample(picture)) for picture in pictures], finish)
    with torch.no_grad():
        found = detect(detector.model, batch)
    results = [picture.by_class(len(detector.CLASSES)) for picture in found]
    return results[0] if single else results


def _sample(picture: Picture) -> Sample:
    if isinstance(picture, np.ndarray):
        return Sample(img_info={'filename': 'array', 'array': picture})
    return Sample(img_info={'filename': os.fspath(picture)})
