"""Finds out where the time of an iteration goes."""
from __future__ import annotations

import os
import socket
from functools import partial
from typing import Any, Dict, Mapping, Optional, Sequence

import torch

from mmcv_need import device as devices
from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.registry import LAZY

CYCLE = ('wait', 'warmup', 'active', 'repeat', 'skip_first')
REPORTS = {'log_trace': ('sort_by', 'row_limit'), 'tb_trace': ('dir_name',)}  # their arguments


@HOOKS.register_module(parts={'on_trace_ready': LAZY})
class ProfilerHook(Hook):
    """Profiles the first iterations or epochs of a process, on rank 0.

    Writes a trace for chrome://tracing or Perfetto into the work directory, and logs the slowest operations. A profiled
    iteration is slower than others, and a trace of thousands does not fit into memory: profile a few.

    Args:
        by_epoch: whether `profile_iters` counts epochs.
        profile_iters: how many iterations, those included that `schedule` leaves out.
        profile_times: MMEngine's name of it.
        activities: 'cpu', and the kind of the run's device; None means both.
        schedule: cycles of iterations: dict(wait, warmup, active, repeat, skip_first), as torch.profiler.schedule has them,
            each with a trace of its own; None records everything.
        on_trace_ready: dict(type='log_trace', sort_by=..., row_limit=...) only logs; dict(type='tb_trace', dir_name=...) only
            writes traces, for TensorBoard's profiler; None does both, the trace as said above.
        record_shapes, profile_memory, with_stack, with_flops: what to record besides times, see torch.profiler.profile.
        json_trace_path: where the trace is to be, of several the last.
    """

    def __init__(self, by_epoch: bool = False, profile_iters: int = 10, profile_times: Optional[int] = None,
                 activities: Optional[Sequence[str]] = None, schedule: Optional[Mapping[str, int]] = None,
                 on_trace_ready: Optional[Mapping[str, Any]] = None, record_shapes: bool = False, profile_memory: bool = False,
                 with_stack: bool = False, with_flops: bool = False, json_trace_path: Optional[str] = None):
        self.by_epoch = by_epoch
        self.left = profile_iters if profile_times is None else profile_times
        if self.left < 1:
            raise ConfigError(f'profile_iters: expected 1 or more, not {self.left}')
        self.activities = None if activities is None else [name.lower() for name in activities]
        self.schedule = checked_schedule(schedule)
        self.report = checked_report(on_trace_ready)
        self.record = {'record_shapes': record_shapes, 'profile_memory': profile_memory, 'with_stack': with_stack,
                       'with_flops': with_flops}
        self.json_trace_path = json_trace_path
        self.profiler: Any = None
        self.iteration = 0

    def check_run(self, runner: Any) -> None:
        if any(isinstance(hook, ProfilerHook) and hook is not self for hook in runner.hooks):  # torch's would end it: SIGSEGV
            raise ConfigError('ProfilerHook: a process can have one profiler; keep one, in custom_hooks or by PROFILE_TYPE in '
                              'the environment')
        here = sorted({'cpu', runner.device.type})
        self.activities = here if self.activities is None else self.activities
        if not self.activities or not set(self.activities) <= set(here):
            raise ConfigError(f"ProfilerHook: activities: this run has {' and '.join(here)}, not "
                              f"{', '.join(self.activities) or 'none'}")

    def before_run(self, runner: Any) -> None:
        if runner.rank == 0:
            self.profiler = self._made(runner)
            self.profiler.__enter__()
            runner.logger.info('profiling %d %s', self.left, 'epochs' if self.by_epoch else 'iterations')

    def _made(self, runner: Any) -> Any:
        """The profiler, which tells of each cycle; an accelerator's own writes traces and tables for a viewer of its own."""
        module = devices.profiler(runner.device)
        own = module is not torch.profiler
        return module.profile(
            activities=[getattr(module.ProfilerActivity, name.upper()) for name in self.activities or ()],
            schedule=module.schedule(**self.schedule) if self.schedule else None,
            on_trace_ready=module.tensorboard_trace_handler(self._folder(runner)) if own else partial(self._tell, runner),
            **self.record)

    def after_train_iter(self, runner: Any) -> None:
        if self.profiler:
            self.iteration = runner.iter + 1
            self.profiler.step()
            if not self.by_epoch:
                self._count_down()

    def after_train_epoch(self, runner: Any) -> None:
        if self.profiler and self.by_epoch:
            self._count_down()

    def after_run(self, runner: Any) -> None:
        if self.profiler:
            self._finish()

    def _count_down(self) -> None:
        self.left -= 1
        if self.left == 0:
            self._finish()

    def _finish(self) -> None:
        self.profiler.__exit__(None, None, None)  # tells of what it is recording
        self.profiler = None

    def _tell(self, runner: Any, profiler: Any) -> None:
        """Write and log what a cycle recorded."""
        path = self._path(runner)
        if path:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            profiler.export_chrome_trace(path)
            runner.logger.info('profile of the iterations up to %d: %s', self.iteration, path)
        if self.report['type'] != 'tb_trace':
            order, rows = self.report.get('sort_by'), self.report.get('row_limit', 20)
            order = order or f'self_{runner.device.type}_time_total'
            table = profiler.key_averages().table(sort_by=order, row_limit=rows)
            runner.logger.info('slowest operations:\n%s', table)

    def _folder(self, runner: Any) -> str:
        return os.path.join(runner.work_dir, self.report.get('dir_name', 'tf_tracing_logs'))

    def _path(self, runner: Any) -> Optional[str]:
        kind = self.report['type']
        if self.json_trace_path or kind == 'log_trace':
            return self.json_trace_path
        if kind == 'tb_trace':
            name = f'{socket.gethostname()}_{os.getpid()}.{self.iteration}.pt.trace.json'  # TensorBoard's: worker, span
            return os.path.join(self._folder(runner), name)
        return os.path.join(runner.work_dir, f'profile_iter_{self.iteration}.json')


def profiler_of_environment(environment: Mapping[str, str]) -> Optional[ProfilerHook]:
    """The ModelZoo's switch: where PROFILE_TYPE is set, profile one iteration, the one after PROFILE_START_STEP (10)."""
    if not environment.get('PROFILE_TYPE'):
        return None
    start = environment.get('PROFILE_START_STEP', '10')
    if not start.isdigit() or int(start) < 1:
        raise ConfigError(f'PROFILE_START_STEP: expected a number of iterations of 1 or more, not {start!r}')
    cycle = {'wait': int(start) - 1, 'warmup': 1, 'active': 1, 'repeat': 1}
    return ProfilerHook(profile_iters=int(start) + 1, schedule=cycle)


def checked_schedule(given: Optional[Mapping[str, int]]) -> Optional[Dict[str, int]]:
    if given is None:
        return None
    wrong = [name for name in given if name not in CYCLE]
    if wrong:
        raise ConfigError(f"schedule: knows no '{wrong[0]}'.{did_you_mean(wrong[0], CYCLE)}")
    cycle = {'wait': 0, 'warmup': 1, 'active': 1, **given}
    if any(type(count) is not int or count < (name == 'active') for name, count in cycle.items()):
        raise ConfigError(f'schedule: expected whole numbers of iterations, active of 1 or more, not {dict(given)}')
    return cycle


def checked_report(given: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    if given is None:
        return {'type': None}
    kind = given.get('type')
    if kind not in REPORTS:
        raise ConfigError(f"on_trace_ready: expected dict(type='log_trace') or dict(type='tb_trace'), not {dict(given)}")
    wrong = [name for name in given if name not in ('type', *REPORTS[kind])]
    if wrong:
        raise ConfigError(f"on_trace_ready: {kind} has no argument '{wrong[0]}'.{did_you_mean(wrong[0], REPORTS[kind])}")
    return dict(given)
