"""Makes the processes' buffers the same again."""
from __future__ import annotations

from typing import Any

from mmcv_need.dist_utils import broadcast_buffers
from mmcv_need.hooks.hook import HOOKS, Hook


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """After each epoch all processes have rank 0's buffers, such as running means of norms; MMCV's hook averages them.

    Evaluations and checkpoints have rank 0's anyway.

    Args:
        distributed: False does nothing.
    """

    def __init__(self, distributed: bool = True):
        self.distributed = distributed

    def after_epoch(self, runner: Any) -> None:
        if self.distributed:
            broadcast_buffers(runner.model.module)
