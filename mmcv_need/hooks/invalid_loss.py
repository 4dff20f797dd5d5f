"""Stops a run whose loss is no number any more, and says which pictures it was computed of."""
from __future__ import annotations

from typing import Any

import torch

from mmcv_need.bad_updates import Step
from mmcv_need.dist_utils import mean_over_ranks
from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.log_buffer import on_host
from mmcv_need.update_watch import listing, suspects


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """Looks at the loss every `interval` iterations; all processes stop together, or roll back if there is a RollBackHook.

    It waits for the device, so it does not look at every iteration. Updates with losses or gradients that are not finite are
    left out and told of anyway, without this hook.

    Args:
        interval: iterations between looks.
    """

    def __init__(self, interval: int = 50):
        if interval < 1:
            raise ConfigError(f'interval: expected 1 iteration or more between checks, not {interval}')
        self.interval = interval

    def after_train_iter(self, runner: Any) -> None:
        if not self.every_n_iters(runner, self.interval):
            return
        finite = bool(torch.isfinite(runner.outputs['loss']).all())
        if mean_over_ranks({'finite': float(finite)}, runner.device)['finite'] < 1:
            place = f'epoch {runner.epoch + 1}, iteration {runner.inner_iter + 1} ({runner.iter + 1} of the run)'
            batches = runner.watch.batches[-1:]
            step = Step(runner.iter + 1, runner.epoch + 1, runner.current_lr(), batches)
            if finite:
                runner.watch.give_up(f'{place}: the loss of another process is not finite; see what that says', step)
                return
            log_vars = runner.outputs['log_vars']
            losses = ', '.join(f'{name} {value:.4g}' for name, value in zip(log_vars, on_host(list(log_vars.values()))))
            process = f'process {runner.rank}, ' if runner.world_size > 1 else ''
            runner.watch.give_up(f'{process}{place}: the loss is not finite: {losses}. Pictures: {listing(suspects(batches))}. '
                                 f'Look at their boxes, lower the learning rate, or clip gradients '
                                 f'(optimizer_config.grad_clip)', step)
