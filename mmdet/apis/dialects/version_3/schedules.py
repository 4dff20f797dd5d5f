"""`param_scheduler` of MMDetection 3, as `lr_config` of MMDetection 2: a warm-up, and what comes after."""
from __future__ import annotations

from typing import Any, Dict, List

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup, section_of, twice
from mmdet.apis.dialects.version_3.idle import refusal

KEY = 'param_scheduler'
# Type -> (policy, argument -> what it is called there). StepLR's and MultiStepLR's are both `step`.
POLICIES: Dict[str, Any] = {
    'MultiStepLR': ('step', {'milestones': 'step', 'gamma': 'gamma'}),
    'StepLR': ('step', {'step_size': 'step', 'gamma': 'gamma'}),
    'CosineAnnealingLR': ('CosineAnnealing', {'eta_min': 'min_lr', 'eta_min_ratio': 'min_lr_ratio'}),
    'PolyLR': ('poly', {'power': 'power', 'eta_min': 'min_lr'}), 'ExponentialLR': ('exp', {'gamma': 'gamma'}),
    'CosineRestartLR': ('CosineRestart', {'periods': 'periods', 'restart_weights': 'restart_weights', 'eta_min': 'min_lr',
                                          'eta_min_ratio': 'min_lr_ratio'})}
WARM_UPS = {'LinearLR': ('linear', 'start_factor', 1.0 / 3), 'ConstantLR': ('constant', 'factor', 1.0 / 3)}
DEFAULTS: Dict[str, Dict[str, Any]] = {'step': {'gamma': 0.1}, 'CosineAnnealing': {'min_lr': 0}}  # which MMCV's hooks have, too
TIMES = ('type', 'begin', 'end', 'by_epoch', 'convert_to_iter_based', 'last_step', 'verbose', 'T_max')


def settle_schedules(cfg: Config) -> None:
    """The schedule as `lr_config`, in place.

    Raises:
        ConfigError: a schedule that `lr_config` cannot say.
    """
    given = lookup(cfg, KEY)
    if given is None:
        drop(cfg, KEY)
        return
    if cfg.get('lr_config') is not None:
        raise twice(cfg, KEY, 'lr_config')
    keys = [f'{KEY}.{i}' for i in range(len(given))] if isinstance(given, (list, tuple)) else [KEY]
    settings: Dict[str, Any] = {}
    sources: Dict[str, str] = {}
    for key in keys:
        entry = section_of(cfg, key) or {}
        kind = entry.get('type')
        if kind not in WARM_UPS and kind not in POLICIES:
            raise refusal(cfg, f'{key}.type', f"expected one of {', '.join([*POLICIES, *WARM_UPS])}, not {kind!r}")
        part = _warm_up(cfg, key, entry) if kind in WARM_UPS else _policy(cfg, key, entry)
        if set(part) & set(settings):
            raise refusal(cfg, key, 'expected at most one warm-up (LinearLR or ConstantLR) and one other schedule')
        settings.update(part)
        sources.update(dict.fromkeys(part, cfg.where(key)))
    if 'policy' not in settings:
        settings['policy'] = 'fixed'
        sources['policy'] = cfg.where(KEY)
    for name in sorted(settings, key=lambda name: name != 'policy'):
        cfg.merge_from_dict({f'lr_config.{name}': settings[name]}, source=sources[name])
    drop(cfg, KEY)


def _warm_up(cfg: Config, key: str, entry: Dict[str, Any]) -> Dict[str, Any]:
    """From a share of the rate to all of it, from the first step on."""
    name, factor, default = WARM_UPS[entry['type']]
    _known(cfg, key, entry, [factor, 'end_factor'])
    if entry.get('begin', 0) != 0 or not isinstance(entry.get('end'), int) or entry.get('end_factor', 1.0) != 1:
        raise refusal(cfg, key, f"a {entry['type']} is a warm-up here: begin=0, end=a number of steps, and end_factor=1")
    if entry['type'] == 'LinearLR' and entry.get('by_epoch', True) and not entry.get('convert_to_iter_based'):
        raise refusal(cfg, key, 'the rate of a warm-up rises with every step here, not once an epoch; add '
                                'convert_to_iter_based=True, or by_epoch=False with an end in steps')
    times = {'warmup_by_epoch': True} if entry.get('by_epoch', True) else {}
    return {'warmup': name, 'warmup_iters': entry['end'], 'warmup_ratio': entry.get(factor, default), **times}


def _policy(cfg: Config, key: str, entry: Dict[str, Any]) -> Dict[str, Any]:
    policy, arguments = POLICIES[entry['type']]
    _known(cfg, key, entry, list(arguments))
    by_epoch = entry.get('by_epoch', True) and not entry.get('convert_to_iter_based', False)
    if entry.get('begin', 0) != 0:
        raise refusal(cfg, f'{key}.begin', 'a schedule begins with the run here; expected 0. Its warm-up goes before it')
    _check_end(cfg, key, entry, policy)
    found = {'policy': policy, **{new: entry[old] for old, new in arguments.items() if entry.get(old) is not None}}
    for name, value in DEFAULTS.get(policy, {}).items():
        if policy == 'CosineAnnealing' and 'min_lr_ratio' not in found:
            found.setdefault(name, value)
        elif found.get(name) == value and policy == 'step':
            del found[name]
    return found if by_epoch else {**found, 'by_epoch': False}


def _check_end(cfg: Config, key: str, entry: Dict[str, Any], policy: str) -> None:
    """A schedule ends with the run, or its last step of the rate is before its end."""
    length = lookup(cfg, 'runner.max_epochs') if entry.get('by_epoch', True) else None
    for span in [f'{key}.{name}' for name in ('end', 'T_max') if entry.get(name) is not None]:
        end, steps = lookup(cfg, span), entry.get('milestones')
        if policy == 'step' and isinstance(steps, (list, tuple)) and all(step < end for step in steps):
            continue
        if length is None:
            raise refusal(cfg, span, 'a schedule ends with the run here, whose steps are not counted yet; leave it out, or '
                                     'count in epochs')
        if end != length:
            raise refusal(cfg, span, f'a schedule ends with the run here; expected {length}, not {end}')


def _known(cfg: Config, key: str, entry: Dict[str, Any], arguments: List[str]) -> None:
    section_of(cfg, key, [*TIMES, *arguments])
