"""Curves for TensorBoard. The only file that knows the package `tensorboard`."""
from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Dict, Optional

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS
from mmcv_need.hooks.logger import LoggerHook, Place
from mmcv_need.hooks.schedules.momentum_updater import momentum_of

TIMES = ('time', 'data_time')


@HOOKS.register_module()
class TensorboardLoggerHook(LoggerHook):
    """Writes MMCV's tags: train/<loss>, val/<metric>, learning_rate, momentum, over the iterations of the run.

    Args:
        log_dir: where to; None takes `tf_logs` in the work directory.
        interval, ignore_last, reset_flag, by_epoch: see LoggerHook.

    Raises:
        ConfigError: the package tensorboard is not there or does not work.
    """

    def __init__(self, log_dir: Optional[str] = None, interval: int = 10, ignore_last: bool = True, reset_flag: bool = False,
                 by_epoch: bool = True):
        super().__init__(interval, ignore_last, reset_flag, by_epoch)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except Exception as error:  # not only ImportError: its parts break in many ways where their versions do not fit
            raise ConfigError(f'TensorboardLoggerHook needs the package tensorboard, which does not import '
                              f'({type(error).__name__}: {error}). Run `pip install tensorboard`, or leave the hook out of '
                              f'log_config.hooks') from error
        self.log_dir = log_dir
        self.writer: Any = None
        self._make_writer = SummaryWriter

    def before_run(self, runner: Any) -> None:
        super().before_run(runner)
        if runner.rank == 0:  # what an interrupted run wrote beyond the checkpoint is hidden
            self.writer = self._make_writer(self.log_dir or os.path.join(runner.work_dir, 'tf_logs'),
                                            purge_step=runner.iter + 1 if runner.iter else None)

    def log_train(self, runner: Any, place: Place, values: Dict[str, float], steps: int) -> None:
        self._write(runner, place.total, 'train', values)

    def log_values(self, runner: Any, place: Place, values: Dict[str, Any]) -> None:
        self._write(runner, place.total, 'val', values)

    def after_run(self, runner: Any) -> None:
        if self.writer:
            with suppress(OSError):  # what could be written was, after each record
                self.writer.close()

    def _write(self, runner: Any, step: int, mode: str, values: Dict[str, Any]) -> None:
        if not self.writer:
            return
        group = runner.optimizer.optimizer.param_groups[0]
        tags = {f'{mode}/{name}': value for name, value in values.items() if name not in TIMES}
        tags.update(learning_rate=group['lr'], momentum=momentum_of(group) or 0.0)
        try:
            for tag, value in tags.items():
                if isinstance(value, str):
                    self.writer.add_text(tag, value, step)
                else:
                    self.writer.add_scalar(tag, value, step)
            self.writer.flush()  # curves are looked at during the run, and a run may be killed
        except OSError as error:  # no curve is worth a run; the writer's thread has ended
            runner.logger.warning('%s: cannot be written (%s); the curves end here', self.writer.log_dir, error.strerror)
            self.writer = None
