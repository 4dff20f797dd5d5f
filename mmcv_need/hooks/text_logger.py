"""The log that people read and the `.log.json` that programs read, both to MMCV's letter."""
from __future__ import annotations

import datetime
import json
import os
from typing import Any, Dict

from mmcv_need import device as devices
from mmcv_need.dist_utils import mean_over_ranks
from mmcv_need.hooks.hook import HOOKS, Hook

TIMES = ('time', 'data_time')


@HOOKS.register_module()
class TextLoggerHook(Hook):
    """A line every `interval` iterations of an epoch, and one for each evaluation.

    An epoch's iterations after the last full interval appear nowhere (MMCV's `ignore_last=True`).

    Args:
        interval: iterations between lines; each line averages over them.
        interval_exp_name: iterations between lines with the experiment's name.
    """

    def __init__(self, interval: int = 10, interval_exp_name: int = 1000):
        self.interval = interval
        self.interval_exp_name = interval_exp_name
        self.seconds = 0.0
        self.start_iter = 0

    def before_run(self, runner: Any) -> None:
        self.start_iter = runner.iter
        self.json_path = os.path.join(runner.work_dir, f'{runner.timestamp}.log.json')
        meta = {key: runner.meta[key] for key in ('env_info', 'config', 'seed', 'exp_name') if key in runner.meta}
        self._write_json(runner, meta)

    def before_epoch(self, runner: Any) -> None:
        runner.log_buffer.clear()

    def after_train_iter(self, runner: Any) -> None:
        if self.every_n_inner_iters(runner, self.interval):
            runner.log_buffer.average(self.interval)
            self._log_train(runner, mean_over_ranks(runner.log_buffer.output, runner.device))
            runner.log_buffer.clear_output()
        if 'exp_name' in runner.meta and (self.end_of_epoch(runner) or self.every_n_iters(runner, self.interval_exp_name)):
            runner.logger.info('Exp name: %s', runner.meta['exp_name'])

    def after_train_epoch(self, runner: Any) -> None:
        if runner.log_buffer.ready:
            self._log_values(runner, runner.epoch + 1, len(runner.data_loader), runner.log_buffer.output)
            runner.log_buffer.clear_output()

    def after_val_epoch(self, runner: Any) -> None:
        runner.log_buffer.average()
        losses = {name: value for name, value in runner.log_buffer.output.items() if name not in TIMES}
        self._log_values(runner, runner.epoch, runner.inner_iter, mean_over_ranks(losses, runner.device))
        runner.log_buffer.clear_output()

    def _log_train(self, runner: Any, values: Dict[str, float]) -> None:
        lr, memory = runner.current_lr()[0], devices.max_memory_mb(runner.device)
        losses = {name: value for name, value in values.items() if name not in TIMES}
        self.seconds += values['time'] * self.interval
        total = min(runner.max_iters, runner.max_steps or runner.max_iters)
        left = self.seconds / (runner.iter - self.start_iter + 1) * (total - runner.iter - 1)
        in_text = [f'memory: {memory}'] if memory is not None and devices.memory_in_text_log(runner.device) else []
        fields = [f'lr: {lr:.3e}', f'eta: {datetime.timedelta(seconds=int(left))}', f"time: {values['time']:.3f}",
                  f"data_time: {values['data_time']:.3f}", *in_text,
                  *(f'{name}: {value:.4f}' for name, value in losses.items())]
        runner.logger.info('Epoch [%d][%d/%d]\t%s', runner.epoch + 1, runner.inner_iter + 1, len(runner.data_loader),
                           ', '.join(fields))
        self._write_json(runner, {
            'mode': 'train', 'epoch': runner.epoch + 1, 'iter': runner.inner_iter + 1, 'lr': lr,
            **({} if memory is None else {'memory': memory}),
            'data_time': values['data_time'], **losses, 'time': values['time']})

    def _log_values(self, runner: Any, epoch: int, iterations: int, values: Dict[str, Any]) -> None:
        fields = [f'{name}: {value:.4f}' if isinstance(value, float) else f'{name}: {value}' for name, value in values.items()]
        runner.logger.info('Epoch(val) [%d][%d]\t%s', epoch, iterations, ', '.join(fields))
        self._write_json(runner, {'mode': 'val', 'epoch': epoch, 'iter': iterations, 'lr': runner.current_lr()[0], **values})

    def _write_json(self, runner: Any, record: Dict[str, Any]) -> None:
        if runner.rank == 0:
            rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in record.items()}
            with open(self.json_path, 'a', encoding='utf-8') as file:
                file.write(json.dumps(rounded) + '\n')
