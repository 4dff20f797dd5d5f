"""Learning-rate schedules. The rate is a pure function of the place in the run, so a resumed run needs no state."""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Union

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS, Hook

WARMUPS = ('constant', 'linear', 'exp')


def warm_up(lr: float, kind: str, done: float, ratio: float) -> float:
    """The rate during warm-up.

    Args:
        lr: the regular rate at this point.
        kind: 'constant' stays at `ratio` of it; 'linear' and 'exp' rise from there to all of it.
        done: share of the warm-up that is over, 0..1.
        ratio: share of the regular rate to start from.
    """
    if kind == 'constant':
        return lr * ratio
    if kind == 'linear':
        return lr * (1 - (1 - done) * (1 - ratio))
    return lr * ratio ** (1 - done)


class LrUpdaterHook(Hook):
    """Sets the rate of every parameter group before each iteration.

    Args:
        by_epoch: whether the schedule's steps are epochs (else iterations).
        warmup: None, 'constant', 'linear' or 'exp'.
        warmup_iters: length of the warm-up in iterations, or in epochs if `warmup_by_epoch`.
        warmup_ratio: the warm-up starts from this share of the regular rate, in (0, 1].
        warmup_by_epoch: see `warmup_iters`.
    """

    def __init__(self, by_epoch: bool = True, warmup: Optional[str] = None, warmup_iters: int = 0,
                 warmup_ratio: float = 0.1, warmup_by_epoch: bool = False):
        if warmup is not None:
            if warmup not in WARMUPS:
                raise ConfigError(f"warmup {warmup!r} is not one of {', '.join(WARMUPS)}")
            if warmup_iters <= 0 or not 0 < warmup_ratio <= 1:
                raise ConfigError(f'warmup needs warmup_iters > 0 and 0 < warmup_ratio <= 1, not {warmup_iters} and '
                                  f'{warmup_ratio}')
        self.by_epoch = by_epoch
        self.warmup = warmup
        self.warmup_iters = warmup_iters
        self.warmup_ratio = warmup_ratio
        self.warmup_by_epoch = warmup_by_epoch

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        """The regular rate after `progress` of `length` epochs (or iterations) of the run."""
        raise NotImplementedError

    def rates(self, base_lrs: Sequence[float], epoch: int, iteration: int, max_epochs: int, epoch_len: int) -> List[float]:
        """The rate of each group at an iteration of an epoch, both counted from 0."""
        progress, length = (epoch, max_epochs) if self.by_epoch else (iteration, max_epochs * epoch_len)
        regular = [self.get_lr(base, progress, length) for base in base_lrs]
        steps = self.warmup_iters * (epoch_len if self.warmup_by_epoch else 1)
        if self.warmup is None or iteration >= steps:
            return regular
        return [warm_up(lr, self.warmup, iteration / steps, self.warmup_ratio) for lr in regular]

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
        steps = [step] if isinstance(step, int) else list(step)
        if not all(isinstance(s, int) and s > 0 for s in steps):
            raise ConfigError(f'step must be a positive int or a list of them, not {step!r}')
        self.step = step if isinstance(step, int) else steps
        self.gamma = gamma
        self.min_lr = min_lr

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        passed = progress // self.step if isinstance(self.step, int) else sum(s <= progress for s in self.step)
        lr = base_lr * self.gamma ** passed
        return lr if self.min_lr is None else max(lr, self.min_lr)
