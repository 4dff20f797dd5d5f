"""Gives memory that torch keeps for later back to the device."""
from __future__ import annotations

from typing import Any

from mmcv_need import device as devices
from mmcv_need.hooks.hook import HOOKS, Hook


@HOOKS.register_module()
class EmptyCacheHook(Hook):
    """MMCV's: for who shares a card. It costs speed, since what was given back has to be asked for again.

    Args:
        before_epoch, after_epoch, after_iter: when, in training and in validation.
    """

    def __init__(self, before_epoch: bool = False, after_epoch: bool = True, after_iter: bool = False):
        self.at = {'before_epoch': before_epoch, 'after_epoch': after_epoch, 'after_iter': after_iter}

    def before_epoch(self, runner: Any) -> None:
        self._empty(runner, 'before_epoch')

    def after_epoch(self, runner: Any) -> None:
        self._empty(runner, 'after_epoch')

    def after_iter(self, runner: Any) -> None:
        self._empty(runner, 'after_iter')

    def _empty(self, runner: Any, moment: str) -> None:
        if self.at[moment]:
            devices.empty_cache(runner.device)
