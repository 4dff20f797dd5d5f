"""Writes checkpoints while training."""
from __future__ import annotations

import os
from typing import Any

from mmcv_need.checkpoint import NAME
from mmcv_need.dist_utils import barrier
from mmcv_need.hooks.hook import HOOKS, Hook


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves `epoch_N.pth` or `iter_N.pth` every `interval`.

    Args:
        interval: epochs (or iterations) between checkpoints; -1 never saves.
        by_epoch: whether `interval` counts epochs.
        save_optimizer: whether training can go on from the files.
        max_keep_ckpts: keep this many of the newest; -1 keeps all.
    """

    def __init__(self, interval: int = -1, by_epoch: bool = True, save_optimizer: bool = True, max_keep_ckpts: int = -1):
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.max_keep_ckpts = max_keep_ckpts

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            number = runner.epoch + 1
            runner.logger.info('Saving checkpoint at %d epochs', number)
            self._save(runner, 'epoch', number, epoch=number, iteration=runner.iter, inner_iter=0)

    def after_train_iter(self, runner: Any) -> None:
        if not self.by_epoch and self.every_n_iters(runner, self.interval):
            number = runner.iter + 1
            runner.logger.info('Saving checkpoint at %d iterations', number)
            # After an epoch's last iteration inner_iter is the whole epoch: resuming then runs the hooks of its end.
            self._save(runner, 'iter', number, epoch=runner.epoch, iteration=number, inner_iter=runner.inner_iter + 1)

    def _save(self, runner: Any, unit: str, number: int, **place: int) -> None:
        if runner.rank == 0:
            runner.save_checkpoint(f'{unit}_{number}.pth', save_optimizer=self.save_optimizer, **place)
            if self.max_keep_ckpts > 0:
                self._remove_old(runner.work_dir, unit, number)
        barrier()

    def _remove_old(self, folder: str, unit: str, newest: int) -> None:
        """Remove files of this unit beyond the newest `max_keep_ckpts`; the one just written counts as the newest."""
        matches = [NAME.fullmatch(name) for name in os.listdir(folder)]
        numbers = sorted(int(m.group(2)) for m in matches if m and m.group(1) == unit and int(m.group(2)) <= newest)
        for number in numbers[:-self.max_keep_ckpts]:
            os.unlink(os.path.join(folder, f'{unit}_{number}.pth'))
