"""Pictures a second that one core prepares, beside decoding alone, the plain pipeline, and torchvision's."""
from __future__ import annotations

import copy
import functools
import itertools
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import cv2
import numpy as np
import torch

from benchmarks.interleaved import Measure, interleave, scaled, summed
from benchmarks.machine import on_one_core
from benchmarks.pictures import ANNOTATIONS, FOLDER
from benchmarks.reference_pipeline import eager, earlier_order, stack
from benchmarks.settings import Settings, read_config
from mmcv_need.registry import build
from mmdet.apis.dataset_lists import first_dataset
from mmdet.datasets import DATASETS
from mmdet.datasets.loader.collate import collate

BATCH = 8
try:
    import torchvision
    from torchvision import tv_tensors
    from torchvision.transforms import v2
except Exception:  # not there, or built for another torch: it may raise anything
    torchvision = None


def dataset_of(cfg: Any, pictures: Path, pipeline: Any, test_mode: bool = False) -> Any:
    """The pictures of a folder through a pipeline."""
    cfg = copy.deepcopy(cfg)
    cfg.data['train'] = {'type': 'CocoDataset', 'ann_file': str(pictures / ANNOTATIONS), 'img_prefix': str(pictures / FOLDER),
                         'pipeline': pipeline, 'test_mode': test_mode}
    return build(cfg, DATASETS, key='data.train')


def pipelines_of(cfg: Any) -> Tuple[List[Any], List[Any]]:
    """The training and the test pipeline of a config."""
    return tuple(_walk(cfg, first_dataset(cfg.data[section], f'data.{section}')) for section in ('train', 'test'))


def _walk(cfg: Any, dotted: str) -> List[Any]:
    node = cfg
    for part in [*dotted.replace('[', '.').replace(']', '').split('.'), 'pipeline']:
        node = node[int(part)] if part.isdigit() else node[part]
    return [dict(step) for step in node]


class Batches:
    """Calling it prepares the next BATCH pictures of a dataset's first `length`, again and again.

    A picture has the same draws whoever is asked and each time: rounds do the same work, and what differs is the machine.
    """

    def __init__(self, dataset: Any, finish: Callable[[List[Any]], Any], length: int):
        self.dataset, self.finish, self.length = dataset, finish, length
        self.counter = itertools.count()

    def __call__(self) -> Any:
        numbers = [next(self.counter) % self.length for _ in range(BATCH)]
        return self.finish([self.dataset.sample(number, np.random.default_rng([0, number])) for number in numbers])


class Decoding:
    """A dataset of decoded pictures: what no pipeline can do without."""

    def __init__(self, dataset: Any):
        self.names = [str(Path(dataset.img_prefix) / name) for name in dataset.annotations.file_names]

    def sample(self, index: int, rng: np.random.Generator) -> np.ndarray:
        with open(self.names[index], 'rb') as file:
            return cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)


def finished(items: List[Any]) -> torch.Tensor:
    """A batch, colours distorted and normalised in the worker."""
    return collate(items, finish=True)['img']


def measure(settings: Settings) -> Iterator[Measure]:
    """ms a picture."""
    cfg = read_config(settings.config)
    train, test = pipelines_of(cfg)
    make = functools.partial(dataset_of, cfg, settings.pictures)
    planned = make(train)
    turns = max(1, min(8 if not settings.small else 1, len(planned) // BATCH))  # a round
    length = min(turns * BATCH, len(planned))
    alternatives = {
        'decode only': Batches(Decoding(planned), list, length),
        'train': Batches(planned, finished, length),
        'train, colours on the device': Batches(planned, collate, length),
        'test': Batches(make(test, test_mode=True), finished, length),
        'plain': Batches(make(eager(train)), stack, length),
        'plain, order before 2.19': Batches(make(eager(earlier_order(train))), stack, length)}
    if torchvision is not None:
        alternatives[f'torchvision {torchvision.__version__} v2'] = Batches(TorchvisionV2(planned, train), torch.stack, length)
    with on_one_core():
        seconds = interleave(alternatives, settings.rounds * turns, warm_up=turns)
    seconds = {name: scaled(summed(values, turns), 1000 / (BATCH * turns)) for name, values in seconds.items()}
    compare = functools.partial(_compare, seconds)
    yield compare('train', 'decode only', '>= 0.75')
    yield compare('train, colours on the device', 'decode only', '')
    yield compare('test', 'decode only', '>= 0.85')
    yield compare('train', 'plain', '>= 3')
    yield compare('train', 'plain, order before 2.19', '')
    for name in seconds:
        if name.startswith('torchvision'):
            yield compare('train', name, '')


def _compare(seconds: Dict[str, List[float]], ours: str, beside: str, target: str) -> Measure:
    return Measure('pipeline', f'{ours}: one core, a picture', 'ms', seconds[ours], beside, seconds[beside], target=target)


class TorchvisionV2:
    """torchvision's own SSD recipe on the same pictures: uint8 tensors through transforms v2."""

    def __init__(self, dataset: Any, pipeline: List[Any]):
        self.dataset, self.decode = dataset, Decoding(dataset)
        steps = {step['type']: step for step in pipeline}
        mean, size = steps['Expand']['mean'], steps['Resize']['img_scale']
        self.transform = v2.Compose([
            v2.RandomPhotometricDistort(), v2.RandomZoomOut(fill=[int(value) for value in mean]), v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(), v2.Resize(size[::-1], antialias=False), v2.SanitizeBoundingBoxes(),
            v2.ToDtype(torch.float32, scale=False), v2.Normalize(mean, steps['Normalize']['std'])])

    def sample(self, index: int, rng: np.random.Generator) -> torch.Tensor:
        img = torch.from_numpy(self.decode.sample(index, rng)[..., ::-1].copy()).permute(2, 0, 1)
        ann = self.dataset.get_ann_info(index)
        boxes = tv_tensors.BoundingBoxes(ann['bboxes'], format='XYXY', canvas_size=img.shape[-2:])
        return self.transform(tv_tensors.Image(img), {'boxes': boxes, 'labels': torch.from_numpy(ann['labels'])})[0]
