"""Learning-rate schedules. The rate is a pure function of the place in the run, so a resumed run needs no state."""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Union

from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.schedules.curves import Steps
from mmcv_need.hooks.schedules.warm_up import WarmUp


class LrUpdaterHook(Hook):
    """Sets the rate of every parameter group before each iteration.

    During the warm-up the rate is a share of the regular rate at that place: of the epoch's if the schedule goes by epoch.

    Args:
        by_epoch: whether the schedule's steps are epochs (else iterations).
        warmup: None, 'constant', 'linear' or 'exp'.
        warmup_iters: length of the warm-up in iterations, or in epochs if `warmup_by_epoch`.
        warmup_ratio: the warm-up starts from this share of the regular rate, in (0, 1].
        warmup_by_epoch: see `warmup_iters`.
    """
    moves = ('lr',)  # settings of the optimizer

    def __init__(self, by_epoch: bool = True, warmup: Optional[str] = None, warmup_iters: int = 0,
                 warmup_ratio: float = 0.1, warmup_by_epoch: bool = False):
        self.by_epoch = by_epoch
        self.warm_up = WarmUp(warmup, warmup_iters, warmup_ratio, warmup_by_epoch)

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        """The regular rate after `progress` of `length` epochs (or iterations) of the run."""
        raise NotImplementedError

    def check_fits(self, length: int, groups: int) -> None:
        """Raise a ConfigError if the schedule cannot serve a run of `length` epochs (or iterations) and so many groups."""

    def rates(self, base_lrs: Sequence[float], epoch: int, iteration: int, max_epochs: int, epoch_len: int) -> List[float]:
        """The rate of each group at an iteration of an epoch, both counted from 0."""
        progress, length = (epoch, max_epochs) if self.by_epoch else (iteration, max_epochs * epoch_len)
        share = self.warm_up.share(iteration, epoch_len)
        return [self.get_lr(base, progress, length) * share for base in base_lrs]

    def check_run(self, runner: Any) -> None:
        groups = runner.optimizer.optimizer.param_groups
        self.check_fits(runner.max_epochs * (1 if self.by_epoch else len(runner.data_loader)), len(groups))

    def before_run(self, runner: Any) -> None:
        for group in runner.optimizer.optimizer.param_groups:
            group.setdefault('initial_lr', group['lr'])  # an optimizer from elsewhere; ours and MMCV's files have it

    def before_train_iter(self, runner: Any) -> None:
        groups = runner.optimizer.optimizer.param_groups
        rates = self.rates([group['initial_lr'] for group in groups], runner.epoch, runner.iter, runner.max_epochs,
                           len(runner.data_loader))
        for group, lr in zip(groups, rates):
            group['lr'] = lr


@HOOKS.register_module()
class FixedLrUpdaterHook(LrUpdaterHook):
    """The same rate throughout."""

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        return base_lr


@HOOKS.register_module()
class StepLrUpdaterHook(LrUpdaterHook):
    """The rate times `gamma` at each step.

    Args:
        step: every so many epochs (an int), or the epochs at which to step (a list, such as [16, 22]).
        gamma: factor of each step.
        min_lr: never below this.
    """

    def __init__(self, step: Union[int, Sequence[int]], gamma: float = 0.1, min_lr: Optional[float] = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.steps = Steps(step, gamma, min_lr)

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        return self.steps.at(base_lr, progress)
