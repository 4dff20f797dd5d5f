"""The generators that a run may draw from: Python's, numpy's, torch's, the device's."""
from __future__ import annotations

import random
from typing import Any, Dict, Mapping

import numpy as np
import torch

from mmcv_need import device as devices
from mmcv_need.arguments import is_number
from mmcv_need.errors import ConfigError


def random_state(device: torch.device) -> Dict[str, Any]:
    """All their states, as plain data and tensors."""
    name, keys, *place = np.random.get_state()
    return {'python': random.getstate(), 'numpy': [name, torch.from_numpy(keys.astype(np.int64)), *place],
            'torch': devices.rng_state(device)}


def set_random_state(device: torch.device, state: Mapping[str, Any]) -> None:
    """Inverse of `random_state`."""
    version, numbers, gauss = state['python']
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *place = state['numpy']
    np.random.set_state((name, keys.numpy().astype(np.uint32), *place))
    devices.set_rng_state(device, state['torch'])


def check_seed(given: Any, where: str = '') -> None:
    """A seed is one that all generators take, or None.

    Raises:
        ConfigError: it is none; `where` goes first.
    """
    if given is not None and (not is_number(given, int) or not 0 <= given < 2 ** 32):
        raise ConfigError(f'{where}seed: expected an integer of 0 or more, below 2^32, not {given!r}')


def seed_everything(seed: int) -> None:
    """Seed all of them."""
    random.seed(seed)
    np.random.seed(seed % 2 ** 32)
    devices.seed_all(seed)
