"""The training loop. The step of an iteration stands in `train_iter`; hooks look on."""
from __future__ import annotations

import getpass
import os
import socket
import time
from functools import partial
from logging import Logger
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import nn

from mmcv_need.agreement import Interrupted, until_asked
from mmcv_need.checkpoint import UnsavedError, failed_save, read_checkpoint
from mmcv_need.dist_utils import broadcast_int, gather_plain, get_dist_info, on_rank_0
from mmcv_need.errors import ConfigError
from mmcv_need.finiteness import first_not_finite_of
from mmcv_need.log_buffer import LogBuffer
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.place_in_run import PlaceInRun, among
from mmcv_need.prefetch import on_side_stream
from mmcv_need.priority import Priority, get_priority
from mmcv_need.registry import Registry
from mmcv_need.run_state import checkpoint_of, restore
from mmcv_need.stop_signals import StopWish
from mmcv_need.update_watch import ADVICE, UpdateWatch

RUNNERS = Registry('RUNNERS')


@RUNNERS.register_module()
class EpochBasedRunner:
    """Runs a model over its data, epoch by epoch.

    Args:
        max_epochs: how many epochs the run has in all.
        model: a wrapper with train_step and val_step (data_parallel.py, distributed.py).
        optimizer: zero_grad, backward, clip, step (optimizer.py).
        device: where the model is.
        work_dir: where checkpoints and logs go.
        logger: the run's logger.
        meta: plain data that goes into every checkpoint (config text, classes, seed, ...).
        max_steps: stop after exactly this many iterations of the whole run; None runs all epochs.

    Attributes:
        batch, outputs: of the current iteration: what the loader gave, and what the training step made of it.
        stopped: why a hook ended the run early, or None; `resumable` if it is to be gone on with later.
        resumed_from: the checkpoint file that the run goes on from, or None.
        wish: whether a signal has asked to stop; StopSignalHook looks at it.
    """

    def __init__(self, max_epochs: int, *, model: nn.Module, optimizer: OptimizerStep, device: Any, work_dir: str,
                 logger: Logger, meta: Optional[Dict[str, Any]] = None, max_steps: Optional[int] = None):
        self.check_arguments(max_epochs, max_steps)
        self.max_epochs = max_epochs
        self.model = model
        self.optimizer = optimizer
        self.device = device
        self.work_dir = work_dir
        self.logger = logger
        self.meta = dict(meta or {})
        self.max_steps = max_steps
        self.timestamp = time.strftime('%Y%m%d_%H%M%S')
        self.rank, self.world_size = get_dist_info()
        self.log_buffer = LogBuffer()
        self.mode = 'train'
        self.epoch = self.iter = self.inner_iter = 0
        self.batch: Mapping[str, Any] = {}
        self.outputs: Dict[str, Any] = {}
        self.data_loader: Any = None
        self.stopped: Optional[str] = None
        self.resumable = False
        self.wish = StopWish()
        self.watch = UpdateWatch(optimizer, logger, work_dir, device)
        self.resumed_from: Optional[str] = None
        self._resumed_place: Optional[PlaceInRun] = None
        self._about = False
        self._hooks: List[Tuple[int, Any, str]] = []

    @staticmethod
    def check_arguments(max_epochs: int, max_steps: Optional[int] = None) -> None:
        if max_epochs < 1 or (max_steps is not None and max_steps < 1):
            raise ConfigError(f'expected max_epochs and max_steps of 1 or more, not {max_epochs} and {max_steps}')

    @property
    def hooks(self) -> List[Any]:
        return [hook for _, hook, _ in self._hooks]

    @property
    def data_batch(self) -> Mapping[str, Any]:
        """MMCV's name for `batch`."""
        return self.batch

    @property
    def max_iters(self) -> int:
        """Iterations of the whole run; known once the training loader is."""
        return self.max_epochs * len(self.data_loader)

    @property
    def finished(self) -> bool:
        return self.stopped is not None or (self.max_steps is not None and self.iter >= self.max_steps)

    @property
    def complete(self) -> bool:
        """Whether the run did all that it was to do."""
        return (self.epoch >= self.max_epochs or self.finished) and not self.suspended

    @property
    def suspended(self) -> bool:
        """Whether the run stops before its end, and leaves the rest to whoever goes on with it, evaluations included."""
        return self.stopped is not None and self.resumable

    def stop(self, reason: str, resumable: bool) -> None:
        """End the run after what is going on now; every rank says so at the same moment.

        Args:
            reason: for the log.
            resumable: whether there is more to do, later.
        """
        self.stopped, self.resumable = reason, resumable
        self.logger.info('stopping: %s', reason)

    def register_hook(self, hook: Any, priority: Any = Priority.NORMAL, place: str = '') -> None:
        """Add a hook. Hooks of equal priority run in the order of registration.

        Args:
            hook: with the moments of hooks/hook.py.
            priority: a name or a number, see priority.py.
            place: where it was asked for, such as 'configs/x.py:12: lr_config', for errors.
        """
        self._hooks.append((get_priority(priority), hook, place))
        self._hooks.sort(key=lambda entry: entry[0])

    def call_hook(self, moment: str, *given: Any) -> None:
        for hook in self.hooks:
            getattr(hook, moment)(self, *given)

    def run(self, data_loaders: Sequence[Any], workflow: Sequence[Tuple[str, int]] = (('train', 1),),
            prepare: Callable[[], None] = lambda: None) -> None:
        """Run to `max_epochs`.

        Args:
            data_loaders: one for each entry of the workflow.
            workflow: how many epochs of each mode follow each other, such as [('train', 1)].
            prepare: called once it is known that the run can be, before anything of it is written.

        Raises:
            ConfigError: a hook cannot serve this run.
            CheckpointError: the place to go on from does not exist among these data.
        """
        host = f'{user_name()}@{socket.gethostname()}'
        self.logger.info('Start running, host: %s, work_dir: %s', host, os.path.abspath(self.work_dir))
        self.logger.info('workflow: %s, max: %d epochs', list(workflow), self.max_epochs)
        loaders = dict(zip((mode for mode, _ in workflow), data_loaders))
        self.data_loader = loaders['train']
        self._settle_place(len(self.data_loader))
        self._check_hooks()
        prepare()
        self.call_hook('before_run')
        if self._resumed_place:
            self.call_hook('after_resume')  # whatever else belonged to the moment of the checkpoint, after it was written
        if self.epoch >= self.max_epochs or self.finished:
            self.logger.info('nothing left to do: %d epochs and %d iterations are done', self.epoch, self.iter)
        modes = [mode for mode, epochs in workflow for _ in range(epochs)]
        place = self._place_in(modes)
        while place or (self.epoch < self.max_epochs and not self.finished):
            for mode in modes[place:]:
                if not self.finished and (mode == 'val' or self.epoch < self.max_epochs):
                    getattr(self, mode)(loaders[mode])
            place = 0
        self.data_loader = loaders['train']
        self.watch.look()
        self.call_hook('after_run')
        if self.watch.lost:  # too late for whoever would have rolled it back
            raise self.watch.lost

    def _place_in(self, modes: Sequence[str]) -> int:
        """Where in the workflow's modes the run goes on: behind as many training epochs as are done of this round."""
        trains = [i for i, mode in enumerate(modes) if mode == 'train']
        done = self.epoch % len(trains)
        if self.inner_iter or not self.epoch:
            return trains[done] if self.inner_iter else 0
        return trains[done - 1] + 1

    def train(self, data_loader: Any) -> None:
        """One training epoch, or what a resumed run still has to do of it."""
        self.model.train()
        self.mode, self.data_loader = 'train', data_loader
        self.call_hook('before_train_epoch')
        batches = on_side_stream(data_loader, self.model, self.device)
        for self.batch in batches:
            self.call_hook('before_train_iter')
            self.outputs = self.train_iter(self.batch)
            self.call_hook('after_train_iter')
            self.call_hook('between_iters')
            self.iter += 1
            self.inner_iter += 1
            if self.finished and self.inner_iter < len(data_loader):
                return
        self.call_hook('after_train_epoch')
        self.epoch += 1
        self.inner_iter = 0

    def val(self, data_loader: Any) -> None:
        """Losses over a validation loader, without learning. Who goes on with a run that stops meanwhile begins them anew."""
        self.model.eval()
        self.mode, self.data_loader = 'val', data_loader
        self.call_hook('before_val_epoch')
        batches = until_asked(on_side_stream(data_loader, self.model, self.device), self.wish, self.device)
        try:
            for self.inner_iter, batch in enumerate(batches):
                self.call_hook('before_val_iter')
                with torch.no_grad():
                    self.outputs = self.model.val_step(batch)
                self.log_buffer.update(self.outputs['log_vars'], self.outputs['num_samples'])
                self.call_hook('after_val_iter')
        except Interrupted:
            self.inner_iter = 0
            self.stop(self.wish.reason, resumable=True)
            return
        self.inner_iter += 1
        self.call_hook('after_val_epoch')
        self.inner_iter = 0

    def train_iter(self, batch: Mapping[str, Any]) -> Dict[str, Any]:
        """The step. Nothing in it waits for the device but `look`, which asks about the step before."""
        first, last, share = self.optimizer.window(self.iter, self.max_iters)
        if first:
            self.optimizer.zero_grad()
        outputs = self.model.train_step(batch)
        self.watch.see(batch, outputs, first)
        self.optimizer.backward(outputs['loss'], share)
        norm: Dict[str, Any] = {}
        if last:
            self.watch.look()
            norm = self.optimizer.clip()
            self.optimizer.step()
            self.watch.note(self.iter + 1, self.epoch + 1, self.current_lr())
        self.log_buffer.update({**outputs['log_vars'], **norm}, outputs['num_samples'])
        return outputs

    def current_lr(self) -> List[float]:
        return [group['lr'] for group in self.optimizer.optimizer.param_groups]

    def save_checkpoint(self, filename: str, *, epoch: int, iteration: int, inner_iter: int, save_optimizer: bool = True,
                        latest: bool = True) -> Optional[str]:
        """Write a checkpoint into the work directory. Every rank calls it; rank 0 writes.

        One whose weights, averages, statistics or optimizer state hold NaN or infinity is not written: the run is lost.

        Args:
            filename: such as 'epoch_3.pth'.
            epoch, iteration: how many of each are complete.
            inner_iter: how many iterations of the next epoch are complete.
            save_optimizer: whether training can go on from the file.
            latest: whether `latest.pth` is to mean this file.

        Returns:
            Its path; None if it was not written, and the run is about to be rolled back.

        Raises:
            DivergedError: it would hold numbers that are none, and the run is not rolled back.
            CheckpointError: it cannot be written; UnsavedError on the other ranks.
        """
        checkpoint = checkpoint_of(self, {'epoch': epoch, 'iter': iteration, 'inner_iter': inner_iter}, save_optimizer)
        path = os.path.join(self.work_dir, filename)
        bad = gather_plain(first_not_finite_of(checkpoint) if self.rank == 0 else None, self.device)[0]
        if bad:
            self.watch.give_up(f'{path}: not written after iteration {iteration}: {bad} is not finite. {ADVICE}')
            return None
        error = on_rank_0(partial(failed_save, checkpoint, path, latest))
        if broadcast_int(int(error is not None), self.device):
            raise error or UnsavedError(f'{path}: rank 0 could not write it')
        if save_optimizer and not self.watch.left_out:
            self.watch.good = path
        return path

    def resume(self, path: str, checkpoint: Optional[Mapping[str, Any]] = None, about: bool = False) -> None:
        """Go on exactly where a checkpoint was written: weights, optimizer, random numbers, place in the epoch, logs.

        Args:
            path: of the file.
            checkpoint: its content, if it has been read.
            about: see `among`.
        """
        self.resumed_from, self._about = path, about
        self._resumed_place = restore(self, path, read_checkpoint(path) if checkpoint is None else checkpoint)
        self.watch.good = None if self.watch.left_out else path
        self.logger.info('resumed epoch %d, iter %d', self.epoch, self.iter)

    def _check_hooks(self) -> None:
        for _, hook, place in self._hooks:
            try:
                hook.check_run(self)
            except ConfigError as error:
                raise ConfigError(f'{place}: {error}' if place else str(error)) from error

    def _settle_place(self, epoch_len: int) -> None:
        """Where a resumed run goes on; a step that was accumulated among other batches begins anew."""
        if self._resumed_place:
            place = among(self._resumed_place, epoch_len, self.logger, self._about)
            if place.iter != self.iter:
                self.optimizer.begin(place.iter)
            self.epoch, self.iter, self.inner_iter = place[:3]


def user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f'uid {os.getuid()}'
