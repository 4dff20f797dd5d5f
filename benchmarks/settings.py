"""What every section is given."""
from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Tuple

import torch
from torch import nn

from mmcv_need.config import Config
from mmcv_need.registry import build
from mmdet.apis.dialects import canonical
from mmdet.models import DETECTORS

ROOT = Path(__file__).resolve().parent.parent


class Settings(NamedTuple):
    """Fields:
        device: to run on.
        pictures: folder with annotations/instances_train2017.json and train2017/.
        scratch: folder for what a section writes.
        batches: sizes for the training step and for inference.
        rounds: that count, of each comparison.
        config: of the network and its pipelines, a name in configs/.
        small: sizes of seconds, to see that all of it runs; figures mean nothing then.
    """
    device: torch.device
    pictures: Path
    scratch: Path
    batches: Tuple[int, ...] = (8,)
    rounds: int = 5
    config: str = 'ssd300_coco.py'
    small: bool = False


def read_config(name: str) -> Config:
    """A config of configs/, in canonical form, whose backbone downloads nothing."""
    cfg = Config.fromfile(str(ROOT / 'configs' / name))
    cfg.merge_from_dict({'model.backbone.init_cfg': None})
    return canonical(cfg)


def input_size(cfg: Any) -> int:
    """Side of the square picture that its network takes."""
    return cfg.model.bbox_head.anchor_generator.get('input_size') or cfg.input_size


def build_network(cfg: Any, seed: int = 0) -> nn.Module:
    """Its network, with random weights from a seed."""
    torch.manual_seed(seed)
    return build(cfg, DETECTORS, key='model')
