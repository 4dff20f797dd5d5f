"""A learning-rate schedule in words, such as 'lr 0.002, x0.1 after epochs 16 and 22'."""
from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from mmcv_need.arguments import listed
from mmcv_need.config import Config
from mmcv_need.hooks import HOOKS
from mmcv_need.hooks.schedules import lr_cycles, lr_policies, lr_updater
from mmcv_need.hooks.schedules.curves import Target
from mmcv_need.hooks.schedules.warm_up import WarmUp
from mmcv_need.registry import build
from mmdet.apis.dialects import with_policy_hook
from mmdet.apis.dialects.spellings import lookup


def rate_words(cfg: Config) -> str:
    """What the rate does over the run.

    Args:
        cfg: in canonical form, without faults.
    """
    lr = lookup(cfg, 'optimizer.lr')
    base = "the optimizer's own lr" if lr is None else f'lr {lr:g}'
    if cfg.get('lr_config') is None:
        return f'{base} throughout'
    schedule = build(with_policy_hook(cfg, 'lr_config', 'LrUpdaterHook'), HOOKS, key='lr_config')
    unit = 'epoch' if schedule.by_epoch else 'step'
    said = WORDS.get(type(schedule), _other)(schedule, base, unit)
    return f'{said}{warm_up_words(schedule.warm_up)}'


def warm_up_words(warm_up: WarmUp) -> str:
    """'; linear warm-up from 0.001 of it over 500 steps'; '' if there is none."""
    if warm_up.kind is None:
        return ''
    over = counted(warm_up.length, 'epoch' if warm_up.by_epoch else 'step')
    if warm_up.kind == 'constant':
        return f'; {warm_up.ratio:g} of it for the first {over}'
    return f"; {'exponential' if warm_up.kind == 'exp' else warm_up.kind} warm-up from {warm_up.ratio:g} of it over {over}"


def counted(number: int, unit: str) -> str:
    """'1 step', '500 steps', '9,162 steps', '120 passes'."""
    plural = f"{unit}{'es' if unit.endswith('s') else 's'}"
    return f'{number:,} {unit if number == 1 else plural}'


def enumerated(items: Sequence[Any]) -> str:
    """'16', '16 and 22', '8, 16 and 22'."""
    words = [f'{item:,}' if isinstance(item, int) else str(item) for item in items]
    return ' and '.join([', '.join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _fixed(schedule: Any, base: str, unit: str) -> str:
    return f'{base} throughout'


def _step(schedule: Any, base: str, unit: str) -> str:
    steps = schedule.steps
    at = listed(steps.step)
    when = f"after {unit}{'s' * (len(at) > 1)} {enumerated(at)}" if isinstance(steps.step, (list, tuple)) else (
        f'after every {counted(steps.step, unit)}' if steps.step > 1 else f'after every {unit}')
    return f'{base}, x{steps.gamma:g} {when}' + ('' if steps.lowest is None else f', never below {steps.lowest:g}')


def _exp(schedule: Any, base: str, unit: str) -> str:
    return f'{base}, x{schedule.gamma:g} after every {unit}'


def _poly(schedule: Any, base: str, unit: str) -> str:
    curve = 'a straight line' if schedule.power == 1 else f'a polynomial of power {schedule.power:g}'
    return f'{base}, falling to {schedule.min_lr:g} along {curve}, by {unit}s'


def _inv(schedule: Any, base: str, unit: str) -> str:
    return f'{base}, divided by (1 + {schedule.gamma:g} t)^{schedule.power:g} after t {unit}s'


def _cosine(schedule: Any, base: str, unit: str) -> str:
    return f'{base}, falling to {_target(schedule.lowest)} along a cosine, by {unit}s'


def _flat_cosine(schedule: Any, base: str, unit: str) -> str:
    falling = f'then falling to {_target(schedule.lowest)} along a cosine, by {unit}s'
    return f'{base} for {schedule.start_percent:.0%} of the run, {falling}'


def _restarts(schedule: Any, base: str, unit: str) -> str:
    periods = enumerated([end - start for start, end in zip(schedule.starts, schedule.starts[1:])])
    return f'{base}, falling to {_target(schedule.lowest)} along a cosine, anew in each period of {periods} {unit}s'


def _cyclic(schedule: Any, base: str, unit: str) -> str:
    cycles = schedule.cycles
    return (f'{base}, up to {cycles.peak:g} and down to {cycles.end:g} of it, '
            f"{'once' if cycles.times == 1 else f'{cycles.times} times'} in the run, by steps")


def _one_cycle(schedule: Any, base: str, unit: str) -> str:
    peak, start = schedule.max_lr, schedule.div_factor
    shown = f'{peak:g}' if not isinstance(peak, (list, tuple)) else str(list(peak))
    return (f'lr up to {shown} from 1/{start:g} of it in {schedule.curve.pct_start:.0%} of the run, and down to '
            f'1/{start * schedule.final_div_factor:g} of it, by steps')


def _other(schedule: Any, base: str, unit: str) -> str:
    return f'{base}, changed by {type(schedule).__name__}'


def _target(target: Target) -> str:
    return f'{target.value:g}' if target.value is not None else f'{target.ratio:g} of it'


WORDS: Dict[type, Callable[[Any, str, str], str]] = {
    lr_updater.FixedLrUpdaterHook: _fixed, lr_updater.StepLrUpdaterHook: _step, lr_policies.ExpLrUpdaterHook: _exp,
    lr_policies.PolyLrUpdaterHook: _poly, lr_policies.InvLrUpdaterHook: _inv,
    lr_policies.CosineAnnealingLrUpdaterHook: _cosine, lr_policies.FlatCosineAnnealingLrUpdaterHook: _flat_cosine,
    lr_policies.CosineRestartLrUpdaterHook: _restarts, lr_cycles.CyclicLrUpdaterHook: _cyclic,
    lr_cycles.OneCycleLrUpdaterHook: _one_cycle}
