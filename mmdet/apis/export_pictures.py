"""Pictures to compare an exported model on: real ones as far as there are any, and those that models stumble over."""
from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, UserError
from mmcv_need.registry import build
from mmdet.apis.data_root import check_data_files
from mmdet.apis.dataset_lists import first_dataset
from mmdet.apis.datasets import build_dataset
from mmdet.apis.trial_pipelines import try_pipelines
from mmdet.datasets import PIPELINES
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Compose, Sample
from mmdet.datasets.wrappers import own_datasets

DRAWN = 2  # random pictures


def input_size(cfg: Config, shape: Optional[Sequence[int]]) -> Tuple[int, int]:
    """(height, width) of the network's input: as given, one number for both; or as the config's test pipeline makes it.

    Raises:
        ConfigError: pictures come out of the pipeline in several sizes, or the size given is none.
    """
    if shape:
        if len(shape) > 2 or min(shape) < 1:
            raise ConfigError(f"--shape {' '.join(map(str, shape))}: expected a side, or height and width, in pixels")
        return shape[0], shape[-1]
    trial = try_pipelines(cfg, 'test')
    for fault in trial.faults:
        raise fault
    if len(trial.sizes) != 1:
        sizes = ', '.join(f'{height} x {width}' for height, width in trial.sizes)
        raise ConfigError(f"{cfg.where('data.test')}: data.test: pictures come out of its pipeline in several sizes ({sizes}), "
                          f'and a model is exported for one: give --shape HEIGHT WIDTH')
    return trial.sizes[0]


def files_of(cfg: Config, count: int) -> List[str]:
    """Some pictures of the config's test data, evenly spread.

    Raises:
        UserError: the data are not there, or cannot be read.
    """
    check_data_files(cfg, 'test')
    datasets = [own for own in own_datasets(build_dataset(cfg, 'test', test_mode=True)) if hasattr(own, 'annotations')]
    found = [os.path.join(own.img_prefix, own.annotations.file_name(index)) for own in datasets for index in range(len(own))]
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))]


def inputs(cfg: Config, size: Tuple[int, int], files: Sequence[str], seed: int = 0) -> Dict[str, Tensor]:
    """Network input (3, H, W) by name: of files, of random, black and white pictures, and zeros.

    Pictures that the pipeline makes in another size are cut or filled with zeros, as a batch fills them.
    """
    pipeline = Compose(build(cfg, PIPELINES, key=f"{first_dataset(cfg.data.test, 'data.test')}.pipeline"))
    rng = np.random.default_rng(seed)
    shape = (*size, 3)
    drawn = {f'random picture {i + 1}': rng.integers(0, 256, shape, dtype=np.uint8) for i in range(DRAWN)}
    drawn.update({'black picture': np.zeros(shape, np.uint8), 'white picture': np.full(shape, 255, np.uint8)})
    pictures: Dict[str, Union[str, np.ndarray]] = {**{file: file for file in files}, **drawn}
    found = {name: _fitted(_through(pipeline, picture), size) for name, picture in pictures.items()}
    return {**found, 'all zeros': torch.zeros(3, *size)}


def _through(pipeline: Compose, picture: Union[str, np.ndarray]) -> Tensor:
    """(3, h, w) what the test pipeline makes of a picture; of several views, the first."""
    info = {'filename': picture} if isinstance(picture, str) else {'filename': 'array', 'array': picture}
    made: Any = pipeline(Sample(img_info=info))
    if made is None:
        raise UserError(f"{info['filename']}: the test pipeline makes nothing of this picture")
    return collate([made[0] if isinstance(made, list) else made], finish=True)['img'][0]


def _fitted(img: Tensor, size: Tuple[int, int]) -> Tensor:
    img = img[:, :size[0], :size[1]]
    return functional.pad(img, (0, size[1] - img.size(2), 0, size[0] - img.size(1))).contiguous()
