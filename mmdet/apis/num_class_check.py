"""The hook by which MMDetection's configs ask for the check of classes."""
from __future__ import annotations

from typing import Any

from mmcv_need.errors import ConfigError
from mmcv_need.hooks import HOOKS
from mmcv_need.hooks.hook import Hook


@HOOKS.register_module()
class NumClassCheckHook(Hook):
    """Before each epoch: every part of the model that has a number of classes has that of the data.

    `train_detector` checks the training data of every run (classes.py); this is for data that come in later, such as those of
    a validation epoch, and for whoever puts a run together without it.
    """

    def before_epoch(self, runner: Any) -> None:
        dataset = runner.data_loader.dataset
        classes = getattr(dataset, 'CLASSES', None)
        if classes is None:
            runner.logger.warning('%s has no CLASSES; whether the model has as many cannot be checked', type(dataset).__name__)
            return
        for name, part in runner.model.module.named_modules():
            if getattr(part, 'num_classes', len(classes)) != len(classes):
                raise ConfigError(f"model.{name}.num_classes is {part.num_classes}, but the data of the {runner.mode} epoch "
                                  f"have {len(classes)} classes ({', '.join(classes[:6])}{', ...' * (len(classes) > 6)}). Set "
                                  f'num_classes={len(classes)}, or `classes` of the dataset')
