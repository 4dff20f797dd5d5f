"""The sections of a config, as checked objects."""
from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import torch

from mmcv_need import device as devices
from mmcv_need.arguments import listed
from mmcv_need.dist_utils import TIMEOUT
from mmcv_need.errors import ConfigError
from mmcv_need.hooks.best_checkpoint import BestCheckpoint
from mmcv_need.registry import LAZY
from mmdet.datasets.loader.bad_pictures import BadPictures
from mmdet.datasets.pictures import POLICIES


class LoaderSettings:
    """`data.val_dataloader` and its sisters: what one loader does otherwise than the others."""

    def __init__(self, samples_per_gpu: Optional[int] = None, workers_per_gpu: Optional[int] = None):
        self.samples_per_gpu, self.workers_per_gpu = samples_per_gpu, workers_per_gpu


class DataSettings:
    """`data`: how batches are made of the datasets `train`, `val` and `test`, which are built when they are needed.

    Args:
        train, val, test: datasets.
        samples_per_gpu, workers_per_gpu: pictures a batch, and processes that prepare batches, for each card.
        colours_on: where colours are distorted and pictures normalised, on the 'device' or in the 'worker' that loads them;
            None chooses by the device.
        train_dataloader, val_dataloader, test_dataloader: what one of them does otherwise.
        bad_data: whether pictures, boxes and records that cannot be used are an 'error', or left out, counted and listed:
            'skip'.
        max_bad_data: with 'skip': the share of pictures, and of records, that may be left out.
    """
    config_parts = {'train': LAZY, 'val': LAZY, 'test': LAZY, 'train_dataloader': LoaderSettings,
                    'val_dataloader': LoaderSettings, 'test_dataloader': LoaderSettings}

    def __init__(self, train: Any = None, val: Any = None, test: Any = None, samples_per_gpu: int = 1, workers_per_gpu: int = 2,
                 colours_on: Optional[str] = None, train_dataloader: Optional[LoaderSettings] = None,
                 val_dataloader: Optional[LoaderSettings] = None, test_dataloader: Optional[LoaderSettings] = None,
                 bad_data: str = 'error', max_bad_data: float = 0.001):
        if bad_data not in POLICIES:
            raise ConfigError(f"bad_data {bad_data!r}: expected {' or '.join(map(repr, POLICIES))}")
        if not 0 <= max_bad_data <= 1:
            raise ConfigError(f'max_bad_data {max_bad_data!r}: expected a share of the data, from 0 to 1, such as 0.001')
        if colours_on not in (None, 'device', 'worker'):
            raise ConfigError(f"colours_on {colours_on!r}: expected 'device' or 'worker'")
        self.train, self.val, self.test = train, val, test
        self.skips = bad_data == 'skip'
        self.max_bad_data = max_bad_data
        self.colours_on = colours_on
        self.samples_per_gpu = samples_per_gpu
        self.workers_per_gpu = workers_per_gpu
        self._own = {'train': train_dataloader, 'val': val_dataloader, 'test': test_dataloader}
        for section in self._own:
            samples, workers = self.for_section(section)
            if samples < 1:
                raise ConfigError(f'samples_per_gpu: expected 1 picture or more, not {samples}')
            if workers < 0:
                raise ConfigError(f'workers_per_gpu: expected 0 processes or more, not {workers}')

    def for_section(self, section: str) -> Tuple[int, int]:
        """Pictures a batch and worker processes of the loader for 'train', 'val' or 'test'."""
        own = self._own[section] or LoaderSettings()
        return (self.samples_per_gpu if own.samples_per_gpu is None else own.samples_per_gpu,
                self.workers_per_gpu if own.workers_per_gpu is None else own.workers_per_gpu)

    def loading(self, section: str, device: torch.device) -> Dict[str, Any]:
        """How to load for 'train', 'val' or 'test': arguments of `train_loader` and `eval_loader`."""
        samples, workers = self.for_section(section)
        finish = self.colours_on == 'worker' if self.colours_on else not devices.finishes_pictures(device)
        return {'samples_per_gpu': samples, 'workers': workers, 'pin_memory': device.type != 'cpu', 'finish': finish}

    def bad_pictures(self, dataset: Any, path: Optional[str] = None) -> Optional[BadPictures]:
        """What counts the pictures that a loader skips, and lists them in a file; None where they are an error."""
        return BadPictures(dataset, self.max_bad_data, path) if self.skips else None


class EvaluationSettings:
    """`evaluation`: when to evaluate while training, and what for.

    Args:
        interval, start, by_epoch: epochs (or iterations) between evaluations, and the first to evaluate after.
        save_best, rule, greater_keys, less_keys: the metric whose best checkpoint is kept (its name, or a list of that), and
            what is better; see EvalHook.
        gpu_collect, tmpdir: of MMDetection's configs; detections are gathered over the process group anyway.
        metric: name or names; None takes the dataset's own.
        classwise, proposal_nums, iou_thrs, metric_items, iou_thr: arguments of the dataset's `evaluate`, where it has them.
    """

    def __init__(self, interval: int = 1, start: Optional[int] = None, by_epoch: bool = True, save_best: Any = None,
                 rule: Optional[str] = None, greater_keys: Any = None, less_keys: Any = None, gpu_collect: bool = False,
                 tmpdir: Optional[str] = None, metric: Any = None, classwise: Optional[bool] = None,
                 proposal_nums: Optional[Sequence[int]] = None, iou_thrs: Any = None,
                 metric_items: Optional[Sequence[str]] = None, iou_thr: Any = None):
        if interval < 1:
            raise ConfigError(f'interval must be at least 1, not {interval}')
        best = {'save_best': one_metric(save_best), 'rule': rule, 'greater_keys': greater_keys, 'less_keys': less_keys}
        if best['save_best'] is not None:
            BestCheckpoint(best['save_best'], rule, greater_keys, less_keys)  # knows what is better, or says that it does not
        self.when = {'interval': interval, 'start': start, 'by_epoch': by_epoch, **best}
        options = {'metric': metric, 'classwise': classwise, 'proposal_nums': proposal_nums, 'iou_thrs': iou_thrs,
                   'metric_items': metric_items, 'iou_thr': iou_thr}
        self.options = {name: value for name, value in options.items() if value is not None}


def one_metric(save_best: Any) -> Optional[str]:
    """The metric of `save_best`, which may be a list of one as in MMCV.

    Raises:
        ConfigError: there are several, or it is no name.
    """
    names = listed(save_best)
    if len(names) != 1 or not isinstance(names[0], (str, type(None))):
        raise ConfigError(f"save_best: expected the name of one metric, such as 'bbox_mAP', not {save_best!r}")
    return names[0]


class GradClip:
    """`optimizer_config.grad_clip`: the largest norm of the gradients, more than 0, and its kind, such as 2 or 'inf'."""

    def __init__(self, max_norm: float, norm_type: Any = 2.0):
        self.max_norm, self.norm_type = float(max_norm), float(norm_type)
        if not (self.max_norm > 0 and self.norm_type > 0):
            raise ConfigError(f'expected max_norm and norm_type of more than 0, not {max_norm} and {norm_type}')


class OptimizerSettings:
    """`optimizer_config`: what happens between the gradients and the step.

    Args:
        grad_clip: None does not clip.
        cumulative_iters: iterations whose gradients are averaged into one step.
    """
    config_parts = {'grad_clip': GradClip}

    def __init__(self, grad_clip: Optional[GradClip] = None, cumulative_iters: int = 1):
        if cumulative_iters < 1:
            raise ConfigError(f'cumulative_iters must be at least 1, not {cumulative_iters}')
        self.grad_clip = None if grad_clip is None else vars(grad_clip)
        self.cumulative_iters = cumulative_iters


class DistSettings:
    """`dist_params`: how the processes of a run work together.

    Args:
        backend: of the process group, where the device can use it.
        port: where rank 0 listens.
        timeout: seconds that a process waits for the others before it gives the run up.
    """

    def __init__(self, backend: Optional[str] = None, port: Optional[int] = None, timeout: float = TIMEOUT):
        if not 1 <= timeout < 10 ** 6:
            raise ConfigError(f'timeout: expected seconds of 1 or more, not {timeout!r}')
        self.backend, self.port, self.timeout = backend, port, timeout


class LogSettings:
    """`log_config`: iterations between log lines, and the hooks that write them."""
    config_parts = {'hooks': LAZY}

    def __init__(self, interval: int = 50, hooks: Sequence[Any] = ({'type': 'TextLoggerHook'},)):
        if interval < 1:
            raise ConfigError(f'interval: expected 1 iteration or more between log lines, not {interval}')
        if not isinstance(hooks, (list, tuple)):
            raise ConfigError(f'hooks: expected a list, not {hooks!r}')
        self.interval = interval
        self.hooks = hooks
