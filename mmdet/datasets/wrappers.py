"""Datasets made of datasets."""
from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

import numpy as np

from mmcv_need.errors import ConfigError
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.builder import DATASETS
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.voc import VOCDataset


class Resampled:
    """A dataset whose pictures occur as often, and in the order, that a list of indices says. It has no metrics.

    Args:
        dataset: the pictures.
        indices: (P,) int of its pictures.
    """

    def __init__(self, dataset: Any, indices: np.ndarray):
        self.dataset = dataset
        self.indices = indices
        self.CLASSES = dataset.CLASSES
        self.flag = dataset.flag[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def get_cat_ids(self, index: int) -> List[int]:
        return self.dataset.get_cat_ids(int(self.indices[index]))

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        return self.dataset.sample(int(self.indices[index]), rng)

    def __getitem__(self, index: int) -> Any:
        return self.sample(index, np.random.default_rng(index))


@DATASETS.register_module(parts=dict(dataset=DATASETS))
class RepeatDataset(Resampled):
    """A dataset several times in an epoch, each time with other random parameters: fewer, longer epochs.

    Args:
        dataset: what to repeat.
        times: how often.
    """

    def __init__(self, dataset: Any, times: int):
        self.check_arguments(times)
        super().__init__(dataset, np.tile(np.arange(len(dataset), dtype=np.min_scalar_type(len(dataset))), times))
        self.times = times

    @staticmethod
    def check_arguments(times: int) -> None:
        if not isinstance(times, int) or times < 1:
            raise ConfigError(f'times must be a positive int, not {times!r}')


@DATASETS.register_module(parts=dict(dataset=DATASETS))
class ClassBalancedDataset(Resampled):
    """A dataset in which pictures with rare classes occur more often.

    Source: Gupta et al., "LVIS", CVPR 2019, sec. 5.1: f(c) is the share of pictures with class c; a picture occurs
    ceil(max over its classes of max(1, sqrt(oversample_thr / f(c)))) times in an epoch.

    Args:
        dataset: has `get_cat_ids(index)`.
        oversample_thr: classes in a smaller share of the pictures than this are rare.
        filter_empty_gt: False counts pictures without any class as pictures of one class more, which may be rare too.
    """

    def __init__(self, dataset: Any, oversample_thr: float, filter_empty_gt: bool = True):
        self.check_arguments(oversample_thr)
        none = [] if filter_empty_gt else [len(dataset.CLASSES)]
        classes = [dataset.get_cat_ids(i) or none for i in range(len(dataset))]
        times = [math.ceil(factor) for factor in repeat_factors(classes, oversample_thr)]
        super().__init__(dataset, np.repeat(np.arange(len(dataset)), times))

    @staticmethod
    def check_arguments(oversample_thr: float) -> None:
        if not isinstance(oversample_thr, (int, float)) or not 0 < oversample_thr <= 1:
            raise ConfigError(f'oversample_thr must be a share of the pictures, above 0 and up to 1, not {oversample_thr!r}')


def repeat_factors(classes: Sequence[Sequence[int]], threshold: float) -> List[float]:
    """How often each picture should occur, at least 1. `classes`: of each picture, each class once."""
    pictures: Dict[int, int] = {}
    for labels in classes:
        for label in labels:
            pictures[label] = pictures.get(label, 0) + 1
    factor = {label: max(1.0, math.sqrt(threshold / (count / len(classes)))) for label, count in pictures.items()}
    return [max((factor[label] for label in labels), default=1.0) for labels in classes]


@DATASETS.register_module(parts=dict(datasets=DATASETS))
class ConcatDataset:
    """Datasets of the same classes, one after another.

    Args:
        datasets: at least one.
        separate_eval: evaluate each by itself, its metrics named `0_...`, `1_...`; False evaluates all pictures as those of
            the first dataset, which needs datasets of one kind, and not COCO's.
    """

    def __init__(self, datasets: Sequence[Any], separate_eval: bool = True):
        if not datasets:
            raise ConfigError('datasets: expected at least one dataset')
        for i, dataset in enumerate(datasets):
            if dataset.CLASSES != datasets[0].CLASSES:
                raise ConfigError(f'datasets[{i}] has the classes {_names(dataset)}, datasets[0] {_names(datasets[0])}; '
                                  f'give both the same `classes`')
        if not separate_eval:
            kinds = sorted({type(dataset).__name__ for dataset in datasets})
            if len(kinds) > 1 or not isinstance(datasets[0], (CustomDataset, VOCDataset)):
                raise ConfigError(f"separate_eval=False evaluates datasets as one if all are VOCDataset or all CustomDataset, "
                                  f"not {' and '.join(kinds)}; set separate_eval=True")
        self.datasets = list(datasets)
        self.separate_eval = separate_eval
        self.CLASSES = datasets[0].CLASSES
        self.flag = np.concatenate([dataset.flag for dataset in datasets])
        self.ends = np.cumsum([len(dataset) for dataset in datasets])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def _locate(self, index: int) -> Tuple[Any, int]:
        """The dataset of a picture, and its index there."""
        which = int(np.searchsorted(self.ends, index, side='right'))
        return self.datasets[which], index - int(self.ends[which]) + len(self.datasets[which])

    def get_cat_ids(self, index: int) -> List[int]:
        dataset, index = self._locate(index)
        return dataset.get_cat_ids(index)

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        dataset, index = self._locate(index)
        return dataset.sample(index, rng)

    def __getitem__(self, index: int) -> Any:
        return self.sample(index, np.random.default_rng(index))

    def check_metrics(self, *metric: Union[str, Sequence[str]], where: str = '') -> None:
        """Each of the datasets has these metrics; without `metric`, what each evaluates by itself.

        Raises:
            ConfigError: one has not; `where` goes first.
        """
        for dataset in self.datasets:
            dataset.check_metrics(*metric, where=where)

    def metric_names(self, **options: Any) -> List[str]:
        """Names of the numbers that `evaluate` gives."""
        if not self.separate_eval:
            return self.datasets[0].metric_names(**options)
        return [f'{i}_{name}' for i, dataset in enumerate(self.datasets) for name in dataset.metric_names(**options)]

    def evaluate(self, results: Sequence[Detections], logger: Any = None, **options: Any) -> Dict[str, Any]:
        """Metrics of detections, one for each picture in order; `options` are those of the datasets' own `evaluate`."""
        if len(results) != len(self):
            raise ValueError(f'{len(results)} results for {len(self)} pictures')
        if not self.separate_eval:
            truths = [truth for dataset in self.datasets for truth in dataset.truths()]
            return self.datasets[0].metric(results, truths, logger=logger, **options)
        metrics: Dict[str, Any] = {}
        for i, (end, dataset) in enumerate(zip(self.ends, self.datasets)):
            if logger:
                logger.info('%d_: %s, %d pictures', i, getattr(dataset, 'ann_file', type(dataset).__name__), len(dataset))
            found = dataset.evaluate(results[end - len(dataset):end], logger=logger, **options)
            metrics.update({f'{i}_{name}': value for name, value in found.items()})
        return metrics


def own_datasets(dataset: Any) -> Iterator[Any]:
    """The datasets with pictures of their own within wrappers, each once."""
    if isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            yield from own_datasets(part)
    elif isinstance(dataset, Resampled):
        yield from own_datasets(dataset.dataset)
    else:
        yield dataset


def _names(dataset: Any) -> str:
    return ', '.join(dataset.CLASSES[:6]) + (', ...' if len(dataset.CLASSES) > 6 else '')
