"""Momentum schedules: like learning rates (lr_updater.py), a pure function of the place in the run.

The momentum of a parameter group is its `momentum`, or the first of its `betas` for Adam and its kin. In a config
`momentum_config=dict(policy='cyclic', ...)` stands for CyclicMomentumUpdaterHook. See curves.py for the shapes.
"""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.schedules.curves import (
    Cycles,
    OneCycle,
    Steps,
    Target,
    check_by_iterations,
    check_numbers,
    cosine,
    per_group,
)
from mmcv_need.hooks.schedules.warm_up import WarmUp


def momentum_of(group: Dict[str, Any]) -> Optional[float]:
    """The momentum of an optimizer's parameter group; None if it has none."""
    return group['momentum'] if 'momentum' in group else group['betas'][0] if 'betas' in group else None


def set_momentum(group: Dict[str, Any], value: float) -> None:
    check_momentum(group, value)
    if 'momentum' in group:
        group['momentum'] = value
    else:
        group['betas'] = (value, *group['betas'][1:])


def check_momentum(group: Dict[str, Any], value: float) -> None:
    """Raise a ConfigError if a parameter group cannot have this momentum."""
    if 'momentum' not in group and not value < 1:  # 1 - beta^t would change its sign
        raise ConfigError(f'it makes the first of betas {value:.4g}, which must stay below 1. A warm-up divides by '
                          f'warmup_ratio')


class MomentumUpdaterHook(Hook):
    """Sets the momentum of every parameter group before each iteration.

    A warm-up divides: the momentum starts from the regular one divided by `warmup_ratio` and falls to it. So it stays below 1
    only with a ratio above the regular momentum.

    Args:
        by_epoch: whether the schedule's steps are epochs (else iterations).
        warmup: None, 'constant', 'linear' or 'exp'; what it divides by grows as a learning rate's share does.
        warmup_iters: length of the warm-up in iterations, or in epochs if `warmup_by_epoch`.
        warmup_ratio: what the regular momentum is divided by at first, in (0, 1].
        warmup_by_epoch: see `warmup_iters`.
    """
    moves = ('momentum', 'betas')  # settings of the optimizer

    def __init__(self, by_epoch: bool = True, warmup: Optional[str] = None, warmup_iters: int = 0,
                 warmup_ratio: float = 0.9, warmup_by_epoch: bool = False):
        self.by_epoch = by_epoch
        self.warm_up = WarmUp(warmup, warmup_iters, warmup_ratio, warmup_by_epoch)

    def get_momentum(self, base: float, progress: int, length: int) -> float:
        """The regular momentum after `progress` of `length` epochs (or iterations) of the run."""
        raise NotImplementedError

    def check_fits(self, length: int, groups: int) -> None:
        """Raise a ConfigError if the schedule cannot serve a run of `length` epochs (or iterations) and so many groups."""

    def momenta(self, bases: Sequence[float], epoch: int, iteration: int, max_epochs: int, epoch_len: int) -> List[float]:
        """The momentum of each group at an iteration of an epoch, both counted from 0."""
        progress, length = (epoch, max_epochs) if self.by_epoch else (iteration, max_epochs * epoch_len)
        share = self.warm_up.share(iteration, epoch_len)
        return [self.get_momentum(base, progress, length) / share for base in bases]

    def check_run(self, runner: Any) -> None:
        optimizer = runner.optimizer.optimizer
        if any(momentum_of(group) is None for group in optimizer.param_groups):
            raise ConfigError(f'{type(optimizer).__name__} has neither momentum nor betas; leave momentum_config out, or '
                              f'choose an optimizer such as SGD or Adam')
        self.check_fits(runner.max_epochs * (1 if self.by_epoch else len(runner.data_loader)), len(optimizer.param_groups))
        for group, momentum in self._now(runner):
            check_momentum(group, momentum)

    def before_run(self, runner: Any) -> None:
        for group in runner.optimizer.optimizer.param_groups:
            group.setdefault('initial_momentum', momentum_of(group))  # a resumed optimizer has it from its checkpoint

    def before_train_iter(self, runner: Any) -> None:
        for group, momentum in self._now(runner):
            set_momentum(group, momentum)

    def _now(self, runner: Any) -> List[Tuple[Dict[str, Any], float]]:
        """The optimizer's groups, each with the momentum of the current iteration."""
        groups = runner.optimizer.optimizer.param_groups
        bases = [group.get('initial_momentum', momentum_of(group)) for group in groups]
        return list(zip(groups, self.momenta(bases, runner.epoch, runner.iter, runner.max_epochs, len(runner.data_loader))))


@HOOKS.register_module()
class FixedMomentumUpdaterHook(MomentumUpdaterHook):
    """The same momentum throughout, for the sake of its warm-up."""

    def get_momentum(self, base: float, progress: int, length: int) -> float:
        return base


@HOOKS.register_module()
class StepMomentumUpdaterHook(MomentumUpdaterHook):
    """The momentum times `gamma` at each step.

    Args:
        step: every so many epochs (an int), or the epochs at which to step (a list, such as [16, 22]).
        gamma: factor of each step.
        min_momentum: never below this.
    """

    def __init__(self, step: Union[int, Sequence[int]], gamma: float = 0.5, min_momentum: Optional[float] = None,
                 **kwargs: Any):
        super().__init__(**kwargs)
        self.steps = Steps(step, gamma, min_momentum)

    def get_momentum(self, base: float, progress: int, length: int) -> float:
        return self.steps.at(base, progress)


@HOOKS.register_module()
class CosineAnnealingMomentumUpdaterHook(MomentumUpdaterHook):
    """Half a cosine wave from the base momentum to the last one, which may lie above it.

    Args:
        min_momentum, min_momentum_ratio: the last momentum, or its ratio to the base momentum; one of them.
    """

    def __init__(self, min_momentum: Optional[float] = None, min_momentum_ratio: Optional[float] = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.last = Target('min_momentum', min_momentum, min_momentum_ratio)

    def get_momentum(self, base: float, progress: int, length: int) -> float:
        return cosine(base, self.last.of(base), progress / length)


@HOOKS.register_module()
class CyclicMomentumUpdaterHook(MomentumUpdaterHook):
    """Down from the base momentum and up again, by iterations, against CyclicLrUpdaterHook; see `curves.Cycles`."""

    def __init__(self, by_epoch: bool = False, target_ratio: Union[float, Tuple[float, float]] = (0.85 / 0.95, 1),
                 cyclic_times: int = 1, step_ratio_up: float = 0.4, anneal_strategy: str = 'cos', gamma: float = 1.0,
                 **kwargs: Any):
        super().__init__(by_epoch=False, **kwargs)
        check_by_iterations(by_epoch)
        self.cycles = Cycles(target_ratio, cyclic_times, step_ratio_up, anneal_strategy, gamma)

    def check_fits(self, length: int, groups: int) -> None:
        self.cycles.check_fits(length)

    def get_momentum(self, base: float, progress: int, length: int) -> float:
        return self.cycles.at(base, progress, length)


@HOOKS.register_module()
class OneCycleMomentumUpdaterHook(MomentumUpdaterHook):
    """From max_momentum down to base_momentum and up again, by iterations, against OneCycleLrUpdaterHook.

    The optimizer's own momentum does not count. `pct_start`, `anneal_strategy` and `three_phase`: see `curves.OneCycle`.

    Args:
        base_momentum, max_momentum: lowest and highest, or lists of them for the parameter groups.
    """

    def __init__(self, base_momentum: Union[float, List[float]] = 0.85, max_momentum: Union[float, List[float]] = 0.95,
                 pct_start: float = 0.3, anneal_strategy: str = 'cos', three_phase: bool = False, by_epoch: bool = False,
                 **kwargs: Any):
        super().__init__(by_epoch=False, **kwargs)
        check_by_iterations(by_epoch)
        check_numbers('base_momentum', base_momentum)
        check_numbers('max_momentum', max_momentum)
        self.lowest, self.highest = base_momentum, max_momentum
        self.curve = OneCycle(pct_start, anneal_strategy, three_phase)

    def check_fits(self, length: int, groups: int) -> None:
        per_group('base_momentum', self.lowest, groups)
        per_group('max_momentum', self.highest, groups)

    def momenta(self, bases: Sequence[float], epoch: int, iteration: int, max_epochs: int, epoch_len: int) -> List[float]:
        length, share = max_epochs * epoch_len, self.warm_up.share(iteration, epoch_len)
        ranges = zip(per_group('base_momentum', self.lowest, len(bases)), per_group('max_momentum', self.highest, len(bases)))
        return [self.curve.at(iteration, length, start=high, peak=low, end=high) / share for low, high in ranges]
