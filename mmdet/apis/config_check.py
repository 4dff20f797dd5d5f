"""The whole config against the code: all that is wrong with it and all that is hardly meant so, without touching data."""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, Iterator, List, NamedTuple, Optional

from mmcv_need.builder import OPTIMIZERS, OPTIONS, check_optimizer
from mmcv_need.compiling import Compiling
from mmcv_need.config import Config
from mmcv_need.epoch_based_runner import RUNNERS
from mmcv_need.errors import ConfigError, UserError
from mmcv_need.hooks import HOOKS, CheckpointHook
from mmcv_need.precision import Precision
from mmcv_need.random_state import check_seed
from mmcv_need.registry import build, faults
from mmdet.apis.auto_scale_lr import check_auto_scale_lr
from mmdet.apis.checks import check_has_metrics
from mmdet.apis.dialects import POLICIES, with_policy_hook
from mmdet.apis.doubts import doubts
from mmdet.apis.evaluation_faults import evaluation_faults
from mmdet.apis.listed_hooks import custom_hooks, logger_hooks
from mmdet.apis.named_classes import class_faults
from mmdet.apis.settings import DataSettings, DistSettings, EvaluationSettings, OptimizerSettings
from mmdet.apis.stack_options import check_stack_options
from mmdet.apis.trial_network import try_network
from mmdet.apis.trial_pipelines import Size, try_pipelines
from mmdet.apis.workflow import workflow_of
from mmdet.datasets import DATASETS
from mmdet.models import DETECTORS

LOG_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
SETTINGS = {'optimizer_config': OptimizerSettings, 'checkpoint_config': CheckpointHook, 'evaluation': EvaluationSettings,
            'dist_params': DistSettings}
ON_A_DEVICE = {'precision': Precision, 'compile': Compiling}  # what is made once there is one
OF_A_RUN = ('model', 'optimizer', 'device', 'work_dir', 'logger', 'meta', 'max_steps')  # what the program gives a runner


class Findings(NamedTuple):
    """Fields:
        faults: what is wrong.
        doubts: lines about what is hardly meant so.
        size: (height, width) of the pictures that training sees, if it is one.
        boxes: default boxes of such a picture, if there are no faults.
    """
    faults: List[UserError]
    doubts: List[str]
    size: Optional[Size] = None
    boxes: Optional[int] = None


def check_sections(cfg: Config, *sections: str) -> Findings:
    """`look_over`, of whose faults the first is raised.

    Raises:
        ConfigError: there is one.
    """
    found = look_over(cfg, *sections)
    for fault in found.faults:
        raise fault
    return found


def look_over(cfg: Config, *sections: str) -> Findings:
    """Names, arguments and values of every component, and whether they fit each other; before anything slow, without data.

    Settings, hooks and transforms are made, for their values to be checked; they do nothing before a run begins. A network is
    made without its weights, and a picture is made up for the pipelines.

    Args:
        cfg: in canonical form.
        sections: of `data`, that will be used.
    """
    wrong = [*faults(cfg, DETECTORS, key='model'), *_data_faults(cfg, *sections)]
    usable = not wrong
    wrong += _other_faults(cfg, 'val' in sections)
    if not usable:
        return Findings(wrong, [])
    wrong += class_faults(cfg, *sections)
    trials = {section: try_pipelines(cfg, section) for section in sections}
    wrong += [fault for trial in trials.values() for fault in trial.faults]
    sizes = {section: trial.sizes for section, trial in trials.items()}
    size = sizes.get('train', [])[0] if len(sizes.get('train', [])) == 1 else None
    batch, _ = build(cfg, DataSettings, key='data').for_section('train')
    try:
        network = try_network(cfg, next(iter(sizes.get('train') or sizes.get('test') or []), None), batch)
    except UserError as error:
        return Findings([*wrong, error], [])
    if wrong:
        return Findings(wrong, [])
    return Findings([], doubts(cfg, sizes) + (network.doubts if network else []), size, network and network.boxes)


def _data_faults(cfg: Config, *sections: str) -> Iterator[UserError]:
    yield from _made(cfg, DataSettings, 'data')
    for section in sections:
        key = f'data.{section}'
        if not isinstance(cfg.data.get(section), dict):
            yield ConfigError(f'{cfg.where(key)}: {key}: expected the dict of a dataset, not {cfg.data.get(section)!r}')
            continue
        found = faults(cfg, DATASETS, key=key)
        yield from found or (_attempt(partial(check_has_metrics, cfg, key, cfg.data[section])) if section == 'val' else [])


def _other_faults(cfg: Config, evaluates: bool) -> Iterator[UserError]:
    """Those of all sections but `model` and `data`. `evaluates`: whether `data.val` is used."""
    if cfg.get('runner') is not None:
        yield from faults(cfg, RUNNERS, key='runner', given=OF_A_RUN)
    for section, kind in SETTINGS.items():
        if cfg.get(section) is not None:
            found = _made(cfg, kind, section)
            yield from found
            if section == 'evaluation' and evaluates and not found:
                yield from _of_val(cfg)
    for section, kind in ON_A_DEVICE.items():
        if cfg.get(section) is not None:
            yield from faults(cfg, kind, key=section, given=('device',))
    if cfg.get('optimizer') is not None:
        yield from faults(cfg, OPTIMIZERS, key='optimizer', without=OPTIONS) or _attempt(partial(check_optimizer, cfg))
    yield from _attempt(partial(check_auto_scale_lr, cfg))
    yield from _attempt(partial(check_stack_options, cfg))
    for section, suffix in POLICIES.items():
        if cfg.get(section) is not None:
            yield from _attempt(partial(_check_schedule, cfg, section, suffix))
    for check in (logger_hooks, custom_hooks, _check_log_level, _check_seed, workflow_of):
        yield from _attempt(partial(check, cfg))


def _of_val(cfg: Config) -> List[UserError]:
    """Of `evaluation` and `data.val` together, once each is right by itself."""
    if not isinstance(cfg.data.get('val'), dict) or faults(cfg, DATASETS, key='data.val'):
        return []
    return [] if _attempt(partial(check_has_metrics, cfg, 'data.val', cfg.data['val'])) else list(evaluation_faults(cfg))


def _made(cfg: Config, kind: Any, key: str) -> List[UserError]:
    """Faults of a section, that of making it last."""
    return faults(cfg, kind, key=key) or _attempt(partial(build, cfg, kind, key=key))


def _attempt(action: Callable[[], Any]) -> List[UserError]:
    try:
        action()
    except UserError as error:
        return [error]
    return []


def _check_schedule(cfg: Config, section: str, suffix: str) -> None:
    schedule = build(with_policy_hook(cfg, section, suffix), HOOKS, key=section)
    max_epochs = (cfg.get('runner') or {}).get('max_epochs')
    if schedule.by_epoch and isinstance(max_epochs, int):
        try:
            schedule.check_fits(max_epochs, 1)
        except ConfigError as error:
            raise ConfigError(f'{cfg.where(section)}: {section}: {error}'.lstrip(': ')) from error


def _check_log_level(cfg: Config) -> None:
    if str(cfg.get('log_level', 'INFO')).upper() not in LOG_LEVELS:
        raise ConfigError(f"{cfg.where('log_level')}: log_level: expected one of {', '.join(LOG_LEVELS)}, "
                          f'not {cfg.log_level!r}')


def _check_seed(cfg: Config) -> None:
    check_seed(cfg.get('seed'), f"{cfg.where('seed')}: ".lstrip(': '))
