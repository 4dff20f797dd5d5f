"""Gives the loader the epoch, from which its order follows, and the place in it, from which a resumed run goes on."""
from __future__ import annotations

from typing import Any

from mmcv_need.hooks.hook import HOOKS, Hook


@HOOKS.register_module()
class DistSamplerSeedHook(Hook):

    def before_train_epoch(self, runner: Any) -> None:
        runner.data_loader.set_epoch(runner.epoch, skip=runner.inner_iter)
