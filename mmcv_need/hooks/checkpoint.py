"""Writes checkpoints while training."""
from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional

from mmcv_need.checkpoint import UNSAVED, meta_of
from mmcv_need.dist_utils import barrier, broadcast_buffers
from mmcv_need.errors import ConfigError
from mmcv_need.hooks.clock import agreed, may_look
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.kept_files import can_be_read, known_files, remove_files
from mmcv_need.work_dir import checkpoint_folder, remove_leftovers


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves `epoch_N.pth` or `iter_N.pth` every `interval`, and in between, so that little is ever lost.

    What is written in between, by the clock or because the run is stopped, is `iter_N.pth`, and goes when there is something
    newer. A file is removed only if this hook wrote it, and after a newer one has been read back.

    Args:
        interval: epochs (or iterations) between checkpoints; -1 saves only the last.
        by_epoch: whether `interval` counts epochs.
        save_optimizer: whether training can go on from the files; if not, nothing is saved by the clock.
        out_dir: write into a folder of the work directory's name in here, and not into the work directory.
        max_keep_ckpts: keep this many of the newest of every `interval`; -1 keeps all.
        save_last: save at the end of the run, too, if its last iteration is in no checkpoint.
        sync_buffer: give rank 0's buffers to every process first; only they are saved in any case.
        minutes: the longest time without a checkpoint; None for no limit.
        on_failed_save: what to do where a file cannot be written (a disk is full): 'warn', go on, and try again when the next
            one is due, or 'stop'. The last one of a run is an error in any case.
    """

    def __init__(self, interval: int = -1, by_epoch: bool = True, save_optimizer: bool = True, out_dir: Optional[str] = None,
                 max_keep_ckpts: int = -1, save_last: bool = True, sync_buffer: bool = False, minutes: Optional[float] = 10,
                 on_failed_save: str = 'warn'):
        if on_failed_save not in ('warn', 'stop'):
            raise ConfigError(f"on_failed_save: expected 'warn' or 'stop', not {on_failed_save!r}")
        if minutes is not None and not minutes > 0:
            raise ConfigError(f'minutes must be more than 0, or None for no limit, not {minutes}')
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.out_dir = out_dir
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.sync_buffer = sync_buffer
        self.minutes = minutes
        self.on_failed_save = on_failed_save
        self.regular: List[str] = []  # names of the files of every `interval`, in the order in which they were written
        self.between: List[str] = []  # and of those in between, which the next one replaces
        self.newest: Optional[str] = None  # name of the file that is being written, or that the run goes on from
        self.newest_iter = self.saved_iter = 0  # what that file says of itself, and the run's count when it was written
        self.saved_at = 0.0  # on this process's clock; when that was tried
        self.failed = False  # the last time

    def name(self, runner: Any) -> str:
        """Tells the state of one such hook from that of another; the interval may change when a run goes on."""
        alike = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)
                 and (hook.by_epoch, hook.out_dir) == (self.by_epoch, self.out_dir)]
        unit, number = 'epochs' if self.by_epoch else 'iterations', alike.index(self)
        return ' '.join([unit, *([f'in {self.out_dir}'] if self.out_dir else []), *([str(number + 1)] if number else [])])

    def folder(self, runner: Any) -> str:
        return checkpoint_folder(runner.work_dir, self.out_dir)

    def before_run(self, runner: Any) -> None:
        self.saved_iter, self.saved_at = runner.iter, time.monotonic()
        if runner.rank == 0:
            remove_leftovers(self.folder(runner))
            if self.newest:  # the run before may have been killed before it removed what this file replaces
                self._remove_old(runner, os.path.join(self.folder(runner), self.newest), self.newest_iter)
        self.newest = None

    def between_iters(self, runner: Any) -> None:
        # After an epoch's last iteration inner_iter is the whole epoch: resuming then runs the hooks of its end.
        place = {'epoch': runner.epoch, 'iteration': runner.iter + 1, 'inner_iter': runner.inner_iter + 1}
        if not self.by_epoch and self.every_n_iters(runner, self.interval):
            self._save(runner, 'iter', **place)
        elif self.by_epoch and self.end_of_epoch(runner) and self.every_n_epochs(runner, self.interval):
            pass  # the epoch's own comes next
        elif self._is_time(runner):
            self._save(runner, 'iter', between=True, **place)

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self._save(runner, 'epoch', epoch=runner.epoch + 1, iteration=runner.iter, inner_iter=0)

    def after_run(self, runner: Any) -> None:
        if (self.save_last or self.failed) and runner.iter > self.saved_iter:
            unit = 'epoch' if self.by_epoch and runner.inner_iter == 0 else 'iter'
            self.on_failed_save = 'stop'
            self._save(runner, unit, between=not runner.complete, epoch=runner.epoch, iteration=runner.iter,
                       inner_iter=runner.inner_iter)

    def before_save_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        checkpoint.setdefault('checkpoint_hook', {})[self.name(runner)] = {
            'folder': os.path.realpath(self.folder(runner)), 'regular': list(self.regular), 'between': list(self.between),
            'newest': [self.newest] if self.newest else []}

    def after_load_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        state = checkpoint.get('checkpoint_hook', {}).get(self.name(runner), {})
        folder = self.folder(runner)
        self.regular, self.between, newest = (known_files(state, key, folder, runner.resumed_from)
                                              for key in ('regular', 'between', 'newest'))
        self.newest, self.newest_iter = next(iter(newest), None), checkpoint['meta']['iter']
        last = (meta_of(checkpoint).get('hook_msgs') or {}).get('last_ckpt')
        if last is not None:
            runner.meta.setdefault('hook_msgs', {})['last_ckpt'] = last

    def _is_time(self, runner: Any) -> bool:
        """Whether rank 0's clock says that a checkpoint is due; the same on every rank."""
        if self.minutes is None or not self.save_optimizer or not may_look(runner):
            return False
        return agreed(runner, time.monotonic() - self.saved_at >= 60 * self.minutes)

    def _save(self, runner: Any, unit: str, between: bool = False, **place: int) -> None:
        number = place['epoch'] if unit == 'epoch' else place['iteration']
        runner.logger.info('Saving checkpoint at %d %s', number, 'epochs' if unit == 'epoch' else 'iterations')
        if self.sync_buffer:
            broadcast_buffers(runner.model.module)
        self.saved_at = time.monotonic()
        name, before = f'{unit}_{number}.pth', (list(self.regular), list(self.between))
        for names in (self.regular, self.between):
            names[:] = [other for other in names if other != name]
        (self.between if between else self.regular).append(name)
        target = name if self.out_dir is None else os.path.abspath(os.path.join(self.folder(runner), name))
        self.newest = name
        path = None
        try:
            path = runner.save_checkpoint(target, save_optimizer=self.save_optimizer, **place)
            self.failed = False
        except UNSAVED as error:
            self.failed = True
            give_up_or_warn(runner, error)
        self.newest = None
        if path is None:  # nor if what would have been written is not finite
            if name not in (*before[0], *before[1]) and not os.path.isfile(os.path.join(self.folder(runner), name)):
                self.regular, self.between = before
            return
        runner.meta.setdefault('hook_msgs', {})['last_ckpt'] = path
        self.saved_iter = place['iteration']
        if runner.rank == 0:
            self._remove_old(runner, path, self.saved_iter)
        barrier()

    def _remove_old(self, runner: Any, path: str, iteration: int) -> None:
        """Remove what the newest file, of an iteration, replaces, once it has been read back."""
        folder = os.path.realpath(self.folder(runner))
        others = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook is not self
                  and os.path.realpath(hook.folder(runner)) == folder]
        theirs = {name for hook in others for name in hook.regular}
        replaced = [name for name in self.between if name != os.path.basename(path)]
        beyond = self.regular[:-self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        if (replaced or beyond) and can_be_read(path, iteration, runner.logger):
            remove_files(self.folder(runner), [name for name in replaced + beyond if name not in theirs], runner.logger)
            self.between = [name for name in self.between if name not in replaced]
            self.regular = self.regular[len(beyond):]


def saves_at_end(runner: Any) -> bool:
    """Whether a run that stops before its end leaves a checkpoint to go on from."""
    return any(isinstance(hook, CheckpointHook) and hook.save_last and hook.save_optimizer for hook in runner.hooks)


def give_up_or_warn(runner: Any, error: Exception) -> None:
    """A checkpoint could not be written: as `on_failed_save` says, the run goes on, or ends by the error."""
    if any(isinstance(hook, CheckpointHook) and hook.on_failed_save == 'stop' for hook in runner.hooks):
        raise error
    runner.logger.warning('%s. The run goes on, and tries again when the next one is due', error)
