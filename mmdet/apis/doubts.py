"""What a config says and hardly means: it would run, and do something else than its author thinks."""
from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Optional, Sequence

from mmcv_need.arguments import listed
from mmcv_need.config import Config
from mmcv_need.hooks import HOOKS, StepLrUpdaterHook
from mmcv_need.registry import build
from mmdet.apis.checks import evaluates
from mmdet.apis.datasets import themselves
from mmdet.apis.dialects import with_policy_hook
from mmdet.apis.rate_words import counted
from mmdet.apis.settings import EvaluationSettings
from mmdet.apis.trial_pipelines import Size, normalisations


def doubts(cfg: Config, sizes: Mapping[str, Sequence[Size]]) -> List[str]:
    """A line for each.

    Args:
        cfg: in canonical form, without faults.
        sizes: of the pictures of each section of `data`, as (height, width).
    """
    max_epochs = (cfg.get('runner') or {}).get('max_epochs')
    of_a_run = [*_rate(cfg, max_epochs), *_evaluation(cfg, max_epochs)] if max_epochs else []
    return [*of_a_run, *_sizes(cfg, sizes), *_norms(cfg, sizes)]


def doubts_of_length(cfg: Config, steps: int) -> List[str]:
    """Those that depend on how many steps an epoch has.

    Args:
        cfg: in canonical form, without faults.
        steps: of an epoch.
    """
    found, total = [], steps * cfg.runner.max_epochs
    if cfg.get('lr_config') is not None:
        schedule = build(with_policy_hook(cfg, 'lr_config', 'LrUpdaterHook'), HOOKS, key='lr_config')
        warm_up = schedule.warm_up
        if warm_up.kind is not None and not warm_up.by_epoch and warm_up.length >= total:
            found.append(_line(cfg, 'lr_config.warmup_iters', f'the warm-up of {warm_up.length} steps never ends: the run has '
                                                              f'{total}'))
        if isinstance(schedule, StepLrUpdaterHook) and not schedule.by_epoch:
            found += _late_steps(cfg, schedule, total, 'step')
    return found


def _line(cfg: Config, key: str, message: str) -> str:
    return f'{cfg.where(key)}: {key}: {message}'.lstrip(': ')


def _rate(cfg: Config, max_epochs: int) -> Iterator[str]:
    if cfg.get('lr_config') is None:
        return
    schedule = build(with_policy_hook(cfg, 'lr_config', 'LrUpdaterHook'), HOOKS, key='lr_config')
    if isinstance(schedule, StepLrUpdaterHook) and schedule.by_epoch:
        yield from _late_steps(cfg, schedule, max_epochs, 'epoch')
    warm_up = schedule.warm_up
    if warm_up.kind is not None and warm_up.by_epoch and warm_up.length >= max_epochs:
        yield _line(cfg, 'lr_config.warmup_iters', f'the warm-up of {warm_up.length} epochs never ends: the run has '
                                                   f'{max_epochs}')


def _late_steps(cfg: Config, schedule: StepLrUpdaterHook, length: int, unit: str) -> Iterator[str]:
    late = [step for step in listed(schedule.steps.step) if step >= length]
    if late:
        yield _line(cfg, 'lr_config.step', f"{', '.join(map(str, late))}: never reached: the run has {counted(length, unit)}")


def _evaluation(cfg: Config, max_epochs: int) -> Iterator[str]:
    if cfg.get('evaluation') is None:
        return
    if not evaluates(cfg):
        yield _line(cfg, 'evaluation', 'has no effect: there is no data.val')
        return
    when = build(cfg, EvaluationSettings, key='evaluation').when
    first = when['interval'] if when['start'] is None else when['start']
    if when['by_epoch'] and first > max_epochs:
        key = 'evaluation.interval' if when['start'] is None else 'evaluation.start'
        yield _line(cfg, key, f'nothing is evaluated: the first time would be after epoch {first}, and the run has '
                              f'{max_epochs}')


def _sizes(cfg: Config, sizes: Mapping[str, Sequence[Size]]) -> Iterator[str]:
    trained = _only(sizes.get('train', ()))
    if trained is None:
        return
    for section, found in sizes.items():
        size = _only(found)
        if size is not None and size != trained:
            yield _line(cfg, f'data.{section}', f'makes pictures of {_words(size)}, and data.train of {_words(trained)}')
    head = cfg.model.get('bbox_head')
    generator = head.get('anchor_generator') if isinstance(head, dict) else None
    if isinstance(generator, dict) and generator.get('min_sizes') is None:
        side = generator.get('input_size', 300)
        if trained != (side, side):
            yield _line(cfg, 'model.bbox_head.anchor_generator.input_size', f'sizes of default boxes are those for pictures of '
                                                                            f'{side} x {side}, and data.train makes them '
                                                                            f'{_words(trained)}')


def _norms(cfg: Config, sections: Mapping[str, Any]) -> Iterator[str]:
    """Training and evaluation normalise alike."""
    found = {section: normalisations(next(themselves(cfg.data[section])).get('pipeline') or ()) for section in sections}
    trained = found.get('train')
    for section, norm in found.items():
        if trained is None or section == 'train':
            continue
        if norm is None:
            yield _line(cfg, f'data.{section}', 'has no Normalize in its pipeline, and data.train has one')
            continue
        for name in ('mean', 'std', 'to_rgb'):
            ours, theirs = ([*listed(values[name])] for values in (norm, trained))
            if ours != theirs:
                yield _line(cfg, f'data.{section}', f'normalises with {name} {norm[name]}, and data.train with {trained[name]}')


def _only(sizes: Sequence[Size]) -> Optional[Size]:
    return sizes[0] if len(sizes) == 1 else None


def _words(size: Size) -> str:
    return f'{size[1]} x {size[0]}'
