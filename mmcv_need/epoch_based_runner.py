"""The training loop. The step of an iteration stands in `train_iter`; hooks look on."""
from __future__ import annotations

import getpass
import os
import socket
import time
from logging import Logger
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need.checkpoint import current_keys, load_weights, read_checkpoint, save_checkpoint, state_dict_of
from mmcv_need.dist_utils import get_dist_info
from mmcv_need.errors import CheckpointError, ConfigError
from mmcv_need.log_buffer import LogBuffer
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.optimizer_state import in_order
from mmcv_need.priority import Priority, get_priority
from mmcv_need.registry import Registry

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
    """

    def __init__(self, max_epochs: int, *, model: nn.Module, optimizer: OptimizerStep, device: Any, work_dir: str,
                 logger: Logger, meta: Optional[Dict[str, Any]] = None, max_steps: Optional[int] = None):
        if max_epochs < 1 or (max_steps is not None and max_steps < 1):
            raise ConfigError(f'expected max_epochs and max_steps of 1 or more, not {max_epochs} and {max_steps}')
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
        self.outputs: Dict[str, Any] = {}
        self.data_loader: Any = None
        self._resumed_epoch_len: Optional[int] = None
        self._hooks: List[Tuple[int, Any]] = []

    @property
    def hooks(self) -> List[Any]:
        return [hook for _, hook in self._hooks]

    @property
    def max_iters(self) -> int:
        """Iterations of the whole run; known once the training loader is."""
        return self.max_epochs * len(self.data_loader)

    @property
    def finished(self) -> bool:
        return self.max_steps is not None and self.iter >= self.max_steps

    def register_hook(self, hook: Any, priority: Any = Priority.NORMAL) -> None:
        """Add a hook. Hooks of equal priority run in the order of registration."""
        self._hooks.append((get_priority(priority), hook))
        self._hooks.sort(key=lambda pair: pair[0])

    def call_hook(self, moment: str) -> None:
        for hook in self.hooks:
            getattr(hook, moment)(self)

    def run(self, data_loaders: Sequence[Any], workflow: Sequence[Tuple[str, int]] = (('train', 1),)) -> None:
        """Run to `max_epochs`. `workflow` says how many epochs of each mode follow each other, e.g. [('train', 1)]."""
        host = f'{user_name()}@{socket.gethostname()}'
        self.logger.info('Start running, host: %s, work_dir: %s', host, os.path.abspath(self.work_dir))
        self.logger.info('workflow: %s, max: %d epochs', list(workflow), self.max_epochs)
        loaders = dict(zip((mode for mode, _ in workflow), data_loaders))
        self.data_loader = loaders['train']
        self._check_place(len(self.data_loader))
        if self.epoch >= self.max_epochs or self.finished:
            self.logger.info('nothing left to do: %d epochs and %d iterations are done', self.epoch, self.iter)
        self.call_hook('before_run')
        while self.epoch < self.max_epochs and not self.finished:
            for mode, epochs in workflow:
                for _ in range(epochs):
                    if mode == 'val' or self.epoch < self.max_epochs:
                        getattr(self, mode)(loaders[mode])
        self.call_hook('after_run')

    def train(self, data_loader: Any) -> None:
        """One training epoch, or what a resumed run still has to do of it."""
        self.model.train()
        self.mode, self.data_loader = 'train', data_loader
        self.call_hook('before_train_epoch')
        for batch in data_loader:
            self.call_hook('before_train_iter')
            self.outputs = self.train_iter(batch)
            self.call_hook('after_train_iter')
            self.iter += 1
            self.inner_iter += 1
            if self.finished and self.inner_iter < len(data_loader):
                return
        self.call_hook('after_train_epoch')
        self.epoch += 1
        self.inner_iter = 0

    def val(self, data_loader: Any) -> None:
        """Losses over a validation loader, without learning."""
        self.model.eval()
        self.mode, self.data_loader = 'val', data_loader
        self.call_hook('before_val_epoch')
        for self.inner_iter, batch in enumerate(data_loader):
            self.call_hook('before_val_iter')
            with torch.no_grad():
                self.outputs = self.model.val_step(batch)
            self.log_buffer.update(self.outputs['log_vars'], self.outputs['num_samples'])
            self.call_hook('after_val_iter')
        self.inner_iter += 1
        self.call_hook('after_val_epoch')
        self.inner_iter = 0

    def train_iter(self, batch: Mapping[str, Any]) -> Dict[str, Any]:
        outputs = self.model.train_step(batch)
        self.optimizer.zero_grad()
        self.optimizer.backward(outputs['loss'])
        norm = self.optimizer.clip()
        self.optimizer.step()
        self.log_buffer.update({**outputs['log_vars'], **norm}, outputs['num_samples'])
        return outputs

    def current_lr(self) -> List[float]:
        return [group['lr'] for group in self.optimizer.optimizer.param_groups]

    def save_checkpoint(self, filename: str, epoch: int, iteration: int, inner_iter: int, save_optimizer: bool = True) -> str:
        """Write a checkpoint into the work directory.

        Args:
            filename: such as 'epoch_3.pth'.
            epoch, iteration: how many of each are complete.
            inner_iter: how many iterations of the next epoch are complete.
            save_optimizer: whether training can go on from the file.
        """
        module = self.model.module
        meta = {**self.meta, 'epoch': epoch, 'iter': iteration, 'inner_iter': inner_iter, 'time': time.asctime(),
                'epoch_len': len(self.data_loader)}
        checkpoint = {'meta': meta, 'state_dict': {key: value.cpu() for key, value in module.state_dict().items()}}
        if save_optimizer:
            checkpoint['optimizer'] = self.optimizer.optimizer.state_dict()
            checkpoint['rng'] = devices.rng_state(self.device)
            if self.optimizer.half:
                checkpoint['loss_scaler'] = self.optimizer.half.scaler.state_dict()
        path = os.path.join(self.work_dir, filename)
        save_checkpoint(checkpoint, path)
        return path

    def resume(self, path: str) -> None:
        """Go on exactly where a checkpoint was written: weights, optimizer, random numbers, place in the epoch."""
        checkpoint = read_checkpoint(path)
        meta = checkpoint.get('meta') or {}
        if 'optimizer' not in checkpoint or not {'epoch', 'iter'} <= set(meta):
            raise CheckpointError(f'{path}: holds no training state to resume from; use --cfg-options load_from={path} '
                                  f'to start a new run from its weights')
        module, weights = self.model.module, state_dict_of(checkpoint)
        load_weights(module, weights, path, strict=True)
        parameters = dict(module.named_parameters())
        learning = [name for name, parameter in parameters.items() if parameter.requires_grad]
        try:
            state = in_order(checkpoint['optimizer'], current_keys(module, weights), parameters, learning)
            self.optimizer.optimizer.load_state_dict(state)
        except (ValueError, KeyError) as error:
            raise CheckpointError(f'{path}: the optimizer state does not fit this optimizer ({error})') from error
        if self.optimizer.half and 'loss_scaler' in checkpoint:
            self.optimizer.half.scaler.load_state_dict(checkpoint['loss_scaler'])
        self.epoch, self.iter, self.inner_iter = meta['epoch'], meta['iter'], meta.get('inner_iter', 0)
        self._resumed_epoch_len = meta.get('epoch_len')
        if 'rng' in checkpoint:
            devices.set_rng_state(self.device, checkpoint['rng'])
        self.logger.info('resumed epoch %d, iter %d', self.epoch, self.iter)

    def _check_place(self, epoch_len: int) -> None:
        """A place within an epoch means something only in an epoch of the same batches."""
        if self.inner_iter and self._resumed_epoch_len not in (None, epoch_len):
            raise CheckpointError(f'the checkpoint was written after {self.inner_iter} of {self._resumed_epoch_len} iterations '
                                  f'of an epoch, which now has {epoch_len}: data, batch or number of processes changed. Set '
                                  f'them back, or resume from a checkpoint of an epoch (epoch_N.pth)')


def user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f'uid {os.getuid()}'
