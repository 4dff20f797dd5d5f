"""A moving average of the weights, which is evaluated and deployed in place of those that learn.

After an iteration:  average <- average + m * (weights - average),  with a momentum m that follows from the iteration (ema.py).
In this order of operations what does not change keeps its exact value, and rounding adds up to the least.

A checkpoint's `state_dict` holds the average; `training_state_dict`, in one to go on training from, has the weights that
learn, under the same names (averages.py).
"""
from __future__ import annotations

from typing import Any, Dict, Optional

import torch
from torch import Tensor, nn

from mmcv_need.errors import CheckpointError, ConfigError
from mmcv_need.hooks.hook import Hook
from mmcv_need.weights import current_weights, state_dict_of


class WeightAveragingHook(Hook):
    """Keeps an average of the weights, in float32 at least, and lends it to the network for evaluations.

    Its place among the hooks does not matter: whoever evaluates or saves after a step finds that step in the average.

    Args:
        momentum: share of the newest weights in the average, in (0, 1).
        interval: iterations between updates of the average.
        resume_from: as MMCV's configs say it. A resumed run has the average from its own checkpoint; no other file is read.
        buffers: whether floating-point buffers (running statistics) are averaged too.
    """

    def __init__(self, momentum: float, interval: int, resume_from: Optional[str], buffers: bool):
        if not 0 < momentum < 1 or interval < 1:
            raise ConfigError(f'expected 0 < momentum < 1 and interval >= 1, not {momentum} and {interval}')
        self.momentum = momentum
        self.interval = interval
        self.resume_from = resume_from
        self.buffers = buffers
        self.average: Dict[str, Tensor] = {}
        self.learning: Dict[str, Tensor] = {}  # the weights that learn, while the network has the average
        self.pending = False  # whether a step may have been made that is not in the average

    def momentum_at(self, iteration: int) -> float:
        """The momentum after an iteration of the run, counted from 0."""
        raise NotImplementedError

    def is_due(self, iteration: int) -> bool:
        return (iteration + 1) % self.interval == 0

    def check_run(self, runner: Any) -> None:
        if self.resume_from and runner.iter == 0:
            raise ConfigError(f'{type(self).__name__}: resume_from {self.resume_from!r}: this run starts anew. Resume the run '
                              f'itself (--resume-from), and the average with it')
        others = [hook for hook in runner.hooks if isinstance(hook, WeightAveragingHook) and hook is not self]
        if others:  # each would lend the network its average, and take the other's for the weights that learn
            raise ConfigError(f'{type(self).__name__}: {type(others[0]).__name__} averages the weights already; keep one')

    def before_run(self, runner: Any) -> None:
        if not self.average:
            self._start(runner)

    def before_train_iter(self, runner: Any) -> None:
        self._take_back(runner)  # after an evaluation that did not come to its end
        self.pending = True

    def after_train_iter(self, runner: Any) -> None:
        self._update(runner)

    def before_evaluation(self, runner: Any) -> None:
        self._update(runner)
        self._lend(runner)

    def after_evaluation(self, runner: Any) -> None:
        self._take_back(runner)

    def before_val_epoch(self, runner: Any) -> None:
        self._lend(runner)

    def after_val_epoch(self, runner: Any) -> None:
        self._take_back(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        if checkpoint['meta']['iter'] > runner.iter:  # by a hook that comes after the step, but before this one
            self._update(runner)
        state = checkpoint['state_dict']
        if 'optimizer' in checkpoint:
            learning = {name: weight.to('cpu', self.average[name].dtype) for name, weight in self.learning.items()}
            checkpoint['training_state_dict'] = {name: learning.get(name, state[name]) for name in self.average}
        averages = {name: average.to('cpu', copy=True) for name, average in self.average.items()}
        checkpoint['state_dict'] = {**state, **averages}

    @torch.no_grad()
    def after_load_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        """Take up the average, and put the weights that learn into the network.

        Without `training_state_dict` (the run before had no average) both are what was loaded.
        """
        self._start(runner)
        network = runner.model.module
        own, learning = network.state_dict(keep_vars=True), current_weights(network, checkpoint.get('training_state_dict', {}))
        averages = current_weights(network, state_dict_of(checkpoint)) if learning else {}
        for name, value in learning.items():
            if name not in own or own[name].shape != value.shape:
                raise CheckpointError(f"training_state_dict: '{name}' of shape {tuple(value.shape)} does not fit the network")
            own[name].copy_(value)
            if name in self.average:
                self.average[name].copy_(averages[name])

    def after_roll_back(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        self.pending = False
        self.learning = {}
        self.after_load_checkpoint(runner, checkpoint)

    def _weights(self, runner: Any) -> Dict[str, Tensor]:
        """The network's own tensors that are averaged, by name."""
        return {name: value for name, value in runner.model.module.state_dict(keep_vars=True).items()
                if value.is_floating_point() and (self.buffers or isinstance(value, nn.Parameter))}

    @torch.no_grad()
    def _start(self, runner: Any) -> None:
        self.average = {name: weight.to(torch.promote_types(weight.dtype, torch.float32), copy=True)
                        for name, weight in self._weights(runner).items()}

    @torch.no_grad()
    def _update(self, runner: Any) -> None:
        """Take the step that was made into the average, once."""
        if self.pending and self.is_due(runner.iter):
            momentum = self.momentum_at(runner.iter)
            for name, weight in self._weights(runner).items():
                average, newest = self.average[name], weight.to(self.average[name].dtype)
                if not isinstance(weight, nn.Parameter):  # a step that is accumulated may yet be left out, with its statistics
                    newest = torch.where(torch.isfinite(newest), newest, average)
                average.lerp_(newest, momentum)
        self.pending = False

    @torch.no_grad()
    def _lend(self, runner: Any) -> None:
        """Put the average into the network, whose tensors stay the same objects: optimizer and wrapper hold them."""
        if not self.learning:
            weights = self._weights(runner)
            self.learning = {name: weight.clone() for name, weight in weights.items()}
            for name, weight in weights.items():
                weight.copy_(self.average[name])

    @torch.no_grad()
    def _take_back(self, runner: Any) -> None:
        if self.learning:
            for name, weight in self._weights(runner).items():
                weight.copy_(self.learning[name])
            self.learning = {}
