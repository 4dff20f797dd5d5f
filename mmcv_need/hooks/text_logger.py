"""The log that people read and the `.log.json` that programs read, both to MMCV's letter."""
from __future__ import annotations

import datetime
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from mmcv_need import device as devices
from mmcv_need.arguments import listed
from mmcv_need.dist_utils import max_over_ranks
from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS
from mmcv_need.hooks.logger import LoggerHook, Place
from mmcv_need.serialization.atomic_files import append_line

AROUND = {'memory': -2, 'data_time': -1, 'time': 1}  # what stands before and after the losses in MMCV's records
COPIES = {'out_dir': None, 'out_suffix': ('.log.json', '.log', '.py'), 'keep_local': True, 'file_client_args': None}
META = ('env_info', 'config', 'seed', 'exp_name')  # of the first record


@HOOKS.register_module()
class TextLoggerHook(LoggerHook):
    """A line and a record every `interval` iterations, and for each evaluation.

    Records have five decimals. A value that is no number is written as NaN or Infinity, which Python's json reads and strict
    readers refuse: a loss that is lost has to stay visible.

    Args:
        by_epoch: whether intervals and the counts in the log begin anew with each epoch.
        interval: iterations between lines; each averages over the last so many.
        ignore_last: an epoch's iterations after the last full interval appear nowhere; if not, they get a line of their own.
        reset_flag: means nothing here, see LoggerHook.
        out_dir, out_suffix, keep_local, file_client_args: of MMCV's configs, where they copy logs to elsewhere; only its
            defaults, which copy nothing.
        interval_exp_name: the experiment's name precedes a line of training whose iteration is a multiple of it, and each line
            at the end of an epoch.
    """

    def __init__(self, by_epoch: bool = True, interval: int = 10, ignore_last: bool = True, reset_flag: bool = False,
                 interval_exp_name: int = 1000, out_dir: Optional[str] = None,
                 out_suffix: Union[str, Sequence[str]] = COPIES['out_suffix'], keep_local: bool = True,
                 file_client_args: Optional[Mapping[str, Any]] = None):
        super().__init__(interval, ignore_last, reset_flag, by_epoch)
        copies = {'out_dir': out_dir, 'out_suffix': tuple(listed(out_suffix)), 'keep_local': keep_local,
                  'file_client_args': file_client_args}
        for name, value in copies.items():
            if value != COPIES[name]:
                raise ConfigError(f'{name}: logs stay in the work directory and are copied nowhere; remove {name}, or set it '
                                  f"to MMCV's default, {COPIES[name]!r}")
        self.interval_exp_name = interval_exp_name
        self.seconds = 0.0
        self.start_iter = 0
        self.incomplete = False  # the json log, as far as is known

    def before_run(self, runner: Any) -> None:
        super().before_run(runner)
        self.start_iter = runner.iter
        self.json_path = os.path.join(runner.work_dir, f'{runner.timestamp}.log.json')
        self._write_json(runner, {key: runner.meta[key] for key in META if key in runner.meta})

    def log_train(self, runner: Any, place: Place, values: Dict[str, Any], steps: int) -> None:
        values = with_memory(runner, values)
        fields = [f'lr: {runner.current_lr()[0]:.3e}']
        if 'time' in values:
            fields += [f"eta: {self._time_left(runner, place, values['time'], steps)}", f"time: {values['time']:.3f}",
                       f"data_time: {values['data_time']:.3f}"]
        if 'memory' in values and devices.memory_in_text_log(runner.device):
            fields.append(f"memory: {values['memory']}")
        if self.every_n_iters(runner, self.interval_exp_name) or self._ends_epoch(runner, place):
            self._name_experiment(runner)
        counts = f'Epoch [{place.epoch}][{place.inner}/{len(runner.data_loader)}]'
        self._write_line(runner, counts if self.by_epoch else f'Iter [{place.total}/{runner.max_iters}]', fields, values)
        self._write_record(runner, 'train', place, values)

    def log_values(self, runner: Any, place: Place, values: Dict[str, Any]) -> None:
        if self._ends_epoch(runner, place):
            self._name_experiment(runner)
        counts = f'Epoch(val) [{place.epoch}][{place.inner}]' if self.by_epoch else f'Iter(val) [{place.total}]'
        self._write_line(runner, counts, [], values)
        self._write_record(runner, 'val', place, with_memory(runner, values))

    def _time_left(self, runner: Any, place: Place, seconds: float, steps: int) -> datetime.timedelta:
        """MMCV's estimate: the time of all lines so far, for as many iterations as this process has done."""
        done = place.total - self.start_iter
        self.seconds += seconds * min(steps, done)  # of an interval that began before an interruption, only what came after
        total = min(runner.max_iters, runner.max_steps or runner.max_iters)
        return datetime.timedelta(seconds=int(self.seconds / done * (total - place.total)))

    def _ends_epoch(self, runner: Any, place: Place) -> bool:
        return self.by_epoch and place.inner == len(runner.data_loader)

    @staticmethod
    def _name_experiment(runner: Any) -> None:
        if 'exp_name' in runner.meta:
            runner.logger.info('Exp name: %s', runner.meta['exp_name'])

    @staticmethod
    def _write_line(runner: Any, counts: str, fields: List[str], values: Dict[str, Any]) -> None:
        named = [f'{name}: {value:.4f}' if isinstance(value, float) else f'{name}: {value}'
                 for name, value in values.items() if name not in AROUND]
        runner.logger.info('%s\t%s', counts, ', '.join(fields + named))

    def _write_record(self, runner: Any, mode: str, place: Place, values: Dict[str, Any]) -> None:
        ordered = sorted(values.items(), key=lambda pair: AROUND.get(pair[0], 0))
        self._write_json(runner, {'mode': mode, 'epoch': place.epoch, 'iter': place.inner if self.by_epoch else place.total,
                                  'lr': runner.current_lr()[0], **dict(ordered)})

    def _write_json(self, runner: Any, record: Dict[str, Any]) -> None:
        if runner.rank != 0:
            return
        try:
            append_line(self.json_path, json.dumps({key: rounded(value) for key, value in record.items()}))
        except OSError as error:  # no log line is worth a run
            if not self.incomplete:
                runner.logger.warning('%s: cannot be written (%s); records are missing in it', self.json_path, error.strerror)
            self.incomplete = True


def with_memory(runner: Any, values: Dict[str, Any]) -> Dict[str, Any]:
    """The values, and the devices' largest peak memory in MB if they are of iterations and the devices count it.

    Called on every rank.
    """
    memory = devices.max_memory_mb(runner.device) if 'time' in values else None
    return values if memory is None else {'memory': max_over_ranks(memory, runner.device), **values}


def rounded(value: Any) -> Any:
    """Floats, also those in lists, with five decimals."""
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value
