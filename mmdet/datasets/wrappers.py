"""Datasets made of datasets."""
from __future__ import annotations

from typing import Any

import numpy as np

from mmcv_need.errors import ConfigError
from mmdet.datasets.builder import DATASETS


@DATASETS.register_module(parts=dict(dataset=DATASETS))
class RepeatDataset:
    """A dataset several times in an epoch, each time with other random parameters: fewer, longer epochs.

    Args:
        dataset: what to repeat.
        times: how often.
    """

    def __init__(self, dataset: Any, times: int):
        if not isinstance(times, int) or times < 1:
            raise ConfigError(f'times must be a positive int, not {times!r}')
        self.dataset = dataset
        self.times = times
        self.CLASSES = dataset.CLASSES
        self.flag = np.tile(dataset.flag, times)

    def __len__(self) -> int:
        return self.times * len(self.dataset)

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        return self.dataset.sample(index % len(self.dataset), rng)

    def __getitem__(self, index: int) -> Any:
        return self.sample(index, np.random.default_rng(index))
