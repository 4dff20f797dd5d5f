"""What can be said of a config before anything slow: every key is read, every section fits the code."""
from __future__ import annotations

import warnings
from typing import Any

from mmcv_need import device as devices
from mmcv_need.builder import check_optimizer
from mmcv_need.compiling import Compiling
from mmcv_need.config import Config
from mmcv_need.epoch_based_runner import RUNNERS
from mmcv_need.errors import ConfigError, nearest
from mmcv_need.hooks import HOOKS, CheckpointHook
from mmcv_need.precision import Precision
from mmcv_need.registry import build, check
from mmdet.apis.auto_scale_lr import check_auto_scale_lr
from mmdet.apis.dialects import POLICIES, with_policy_hook
from mmdet.apis.dialects.spellings import lookup
from mmdet.apis.listed_hooks import custom_hooks, logger_hooks
from mmdet.apis.settings import DataSettings, DistSettings, EvaluationSettings, OptimizerSettings
from mmdet.apis.stack_options import check_stack_options
from mmdet.apis.workflow import workflow_of
from mmdet.datasets import DATASETS
from mmdet.models import DETECTORS

# Top-level keys that training or testing reads.
KEYS = ('model', 'data', 'evaluation', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'checkpoint_config',
        'log_config', 'custom_hooks', 'log_level', 'load_from', 'resume_from', 'workflow', 'work_dir', 'seed',
        'cudnn_benchmark', 'deterministic', 'find_unused_parameters', 'train_cfg', 'test_cfg', 'total_epochs', 'fp16',
        'dist_params', 'precision', 'opt_level', 'loss_scale', 'optim_wrapper', 'momentum_config', 'auto_scale_lr',
        'auto_resume', 'compile', *devices.OPTIONS)
SECTIONS = ('model', 'data', 'evaluation', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'checkpoint_config',
            'log_config', 'train_cfg', 'test_cfg', 'fp16', 'dist_params', 'optim_wrapper', 'momentum_config',
            'auto_scale_lr', 'compile', *devices.OPTIONS)  # dicts, if not None
SWITCHES = ('auto_resume', 'cudnn_benchmark', 'deterministic', 'find_unused_parameters')  # True or False, if not None
LISTS = ('custom_hooks', 'workflow')  # lists, if not None
LOG_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
# Keys with a meaning in MMDetection that must not be passed over in silence.
UNSUPPORTED = {'custom_imports': 'Remove it, or set it to None',
               'ema_config': "An average of the weights is custom_hooks = [dict(type='EMAHook')]",
               'param_scheduler': "Schedules are lr_config and momentum_config, such as lr_config = dict(policy='step', "
                                  "step=[16, 22], warmup='linear', warmup_iters=500, warmup_ratio=0.001)",
               'default_hooks': 'Its parts are checkpoint_config, log_config and custom_hooks',
               'amp': "Half precision is precision = 'fp16', or --amp"}
# What MMDetection's own config files and dumps define and nothing here needs to read: threads and workers follow the machine.
VARIABLES = ('input_size', 'dataset_type', 'data_root', 'img_norm_cfg', 'train_pipeline', 'test_pipeline',
             'opencv_num_threads', 'mp_start_method', 'gpu_ids', 'device')


def check_sections(cfg: Config, *datasets: str) -> None:
    """Names, arguments and values of every component, before anything slow: without reading data, or making a network.

    Settings and hooks are made, for their values to be checked; they do nothing before a run begins.

    Args:
        cfg: in canonical form.
        datasets: sections of `data` that will be used.

    Raises:
        ConfigError: the first that is wrong.
    """
    check(cfg, DETECTORS, key='model')
    build(cfg, DataSettings, key='data')
    for section in datasets:
        if not isinstance(cfg.data.get(section), dict):
            raise ConfigError(f"{cfg.where(f'data.{section}')}: data.{section}: expected the dict of a dataset, "
                              f'not {cfg.data.get(section)!r}')
        check(cfg, DATASETS, key=f'data.{section}')
    if 'val' in datasets:
        check_has_metrics(cfg, 'data.val', cfg.data['val'])
    check(cfg, RUNNERS, key='runner', given=('model', 'optimizer', 'device', 'work_dir', 'logger', 'meta', 'max_steps'))
    sections = {'optimizer_config': OptimizerSettings, 'checkpoint_config': CheckpointHook, 'evaluation': EvaluationSettings,
                'dist_params': DistSettings}
    for section, kind in sections.items():
        if cfg.get(section) is not None:
            build(cfg, kind, key=section)
    if cfg.get('precision') is not None:
        check(cfg, Precision, key='precision', given=('device',))
    if cfg.get('compile') is not None:
        check(cfg, Compiling, key='compile', given=('device',))
    if cfg.get('optimizer') is not None:
        check_optimizer(cfg)
    check_auto_scale_lr(cfg)
    check_stack_options(cfg)
    for section, suffix in POLICIES.items():
        if cfg.get(section) is not None:
            build(with_policy_hook(cfg, section, suffix), HOOKS, key=section)
    logger_hooks(cfg)
    custom_hooks(cfg)
    if str(cfg.get('log_level', 'INFO')).upper() not in LOG_LEVELS:
        raise ConfigError(f"{cfg.where('log_level')}: log_level: expected one of {', '.join(LOG_LEVELS)}, "
                          f'not {cfg.log_level!r}')
    workflow_of(cfg)


def check_top_level(cfg: Config) -> None:
    """Every top-level key is read by something, or the user hears of it.

    Raises:
        ConfigError: a key that is nearly one that is read, or one that means something that is not supported.
    """
    for key in cfg:
        for keys, kind in ((SECTIONS, dict), (LISTS, list), (SWITCHES, bool)):
            if key in keys and cfg[key] is not None and not isinstance(cfg[key], kind):
                raise ConfigError(f'{cfg.where(key)}: {key}: expected a {kind.__name__}, not {cfg[key]!r}')
        if key in UNSUPPORTED and cfg[key] not in (None, False) and lookup(cfg, f'{key}.enable', True):
            raise ConfigError(f'{cfg.where(key)}: {key}: not supported. {UNSUPPORTED[key]}')
        if key in KEYS or key in UNSUPPORTED or key in cfg.used_names:
            continue
        if key in cfg.outdated_names:
            warnings.warn(f'{cfg.where(key)}: {key}: has no effect: the config has used it already. Change what is made of it',
                          UserWarning, stacklevel=2)
        if key in VARIABLES or key in cfg.outdated_names:
            continue
        close = nearest(key, KEYS, cutoff=0.75)
        if close:
            raise ConfigError(f"{cfg.where(key)}: {key}: nothing reads this key. Did you mean '{close}'?")
        warnings.warn(f'{cfg.where(key)}: {key}: nothing reads this key', UserWarning, stacklevel=2)


def require(cfg: Config, *keys: str) -> None:
    """The config has these sections.

    Raises:
        ConfigError: it has not.
    """
    missing = [key for key in keys if lookup(cfg, key) is None]
    if missing:
        raise ConfigError(f"{cfg.filename or 'the config'}: has no {', '.join(missing)}; is this the config of a detector?")


def evaluates(cfg: Config) -> bool:
    """Whether training with this config evaluates meanwhile."""
    return cfg.get('evaluation') is not None and cfg.data.get('val') is not None


def check_has_metrics(cfg: Config, key: str, dataset: Any) -> None:
    """A dataset of a config can be evaluated, which its type decides, and so can those that it concatenates.

    Args:
        key: its place.
        dataset: what stands there, in canonical form.

    Raises:
        ConfigError: one cannot.
    """
    if not isinstance(dataset, dict):
        return
    made = dataset['type'] if isinstance(dataset['type'], type) else DATASETS.get(dataset['type'])
    if not hasattr(made, 'evaluate'):
        raise ConfigError(f'{cfg.where(key)}: {key}: a {made.__name__} has no metrics; name the dataset itself'.lstrip(': '))
    for i, part in enumerate(dataset.get('datasets', [])):
        check_has_metrics(cfg, f'{key}.datasets.{i}', part)
