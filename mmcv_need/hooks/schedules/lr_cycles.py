"""Learning rates that rise before they fall, by iterations."""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple, Union

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS
from mmcv_need.hooks.schedules.curves import Cycles, OneCycle, check_by_iterations, check_numbers, per_group
from mmcv_need.hooks.schedules.lr_updater import LrUpdaterHook


@HOOKS.register_module()
class CyclicLrUpdaterHook(LrUpdaterHook):
    """Up from the base rate to a peak and down again, by iterations, `cyclic_times` times; see `curves.Cycles`."""

    def __init__(self, by_epoch: bool = False, target_ratio: Union[float, Tuple[float, float]] = (10, 1e-4),
                 cyclic_times: int = 1, step_ratio_up: float = 0.4, anneal_strategy: str = 'cos', gamma: float = 1.0,
                 **kwargs: Any):
        super().__init__(by_epoch=False, **kwargs)
        check_by_iterations(by_epoch)
        self.cycles = Cycles(target_ratio, cyclic_times, step_ratio_up, anneal_strategy, gamma)

    def check_fits(self, length: int, groups: int) -> None:
        self.cycles.check_fits(length)

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        return self.cycles.at(base_lr, progress, length)


@HOOKS.register_module()
class OneCycleLrUpdaterHook(LrUpdaterHook):
    """From max_lr / div_factor up to max_lr and down to max_lr / div_factor / final_div_factor, by iterations.

    The optimizer's `lr` does not count. `pct_start`, `anneal_strategy` and `three_phase`: see `curves.OneCycle`.

    Args:
        max_lr: the peak, or a list of the peaks of the parameter groups.
        total_steps: iterations of the curve, at least those of the run; None means just those.
    """

    def __init__(self, max_lr: Union[float, List[float]], total_steps: Optional[int] = None, pct_start: float = 0.3,
                 anneal_strategy: str = 'cos', div_factor: float = 25, final_div_factor: float = 1e4,
                 three_phase: bool = False, by_epoch: bool = False, **kwargs: Any):
        super().__init__(by_epoch=False, **kwargs)
        check_by_iterations(by_epoch)
        check_numbers('max_lr', max_lr)
        if div_factor <= 0 or final_div_factor <= 0:
            raise ConfigError(f'expected div_factor and final_div_factor above 0, not {div_factor} and {final_div_factor}')
        self.max_lr = max_lr
        self.total_steps = total_steps
        self.curve = OneCycle(pct_start, anneal_strategy, three_phase)
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor

    def check_fits(self, length: int, groups: int) -> None:
        per_group('max_lr', self.max_lr, groups)
        if self.total_steps is not None and self.total_steps < length:
            raise ConfigError(f'total_steps {self.total_steps}: the run has more iterations, {length}')

    def rates(self, base_lrs: Sequence[float], *args: Any, **kwargs: Any) -> List[float]:
        return super().rates(per_group('max_lr', self.max_lr, len(base_lrs)), *args, **kwargs)

    def get_lr(self, base_lr: float, progress: int, length: int) -> float:
        start = base_lr / self.div_factor
        return self.curve.at(progress, self.total_steps or length, start, base_lr, start / self.final_div_factor)
