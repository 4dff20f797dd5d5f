"""What can be said of a config by its keys alone: each is read by something, and what a command line needs is there."""
from __future__ import annotations

import warnings
from typing import Any, Iterator

from mmcv_need import device as devices
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, nearest
from mmdet.apis.dialects import version_3
from mmdet.apis.dialects.spellings import lookup
from mmdet.apis.dialects.substitution import names_referred_to
from mmdet.datasets import DATASETS

# Top-level keys that training or testing reads.
KEYS = ('model', 'data', 'evaluation', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'checkpoint_config',
        'log_config', 'custom_hooks', 'log_level', 'load_from', 'resume_from', 'workflow', 'work_dir', 'seed',
        'cudnn_benchmark', 'deterministic', 'find_unused_parameters', 'train_cfg', 'test_cfg', 'total_epochs', 'fp16',
        'dist_params', 'precision', 'opt_level', 'loss_scale', 'optim_wrapper', 'momentum_config', 'auto_scale_lr',
        'auto_resume', 'compile', 'custom_imports', 'model_wrapper', *version_3.KEYS, *devices.OPTIONS)
SECTIONS = ('model', 'data', 'evaluation', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'checkpoint_config',
            'log_config', 'train_cfg', 'test_cfg', 'fp16', 'dist_params', 'optim_wrapper', 'momentum_config',
            'auto_scale_lr', 'compile', 'custom_imports', 'model_wrapper', *version_3.SECTIONS,
            *devices.OPTIONS)  # dicts, if not None
SWITCHES = ('auto_resume', 'cudnn_benchmark', 'deterministic', 'find_unused_parameters')  # True or False, if not None
LISTS = ('custom_hooks', 'workflow', *version_3.LISTS)  # lists, if not None
TEXTS = ('load_from', 'resume_from', 'work_dir')  # strings, if not None
KINDS = ((SECTIONS, dict), (LISTS, list), (SWITCHES, bool), (TEXTS, str))
TRAINED_WITH = ('model', 'data', 'optimizer', 'runner', 'model.train_cfg')  # what training cannot do without
# Keys with a meaning in MMDetection that must not be passed over in silence.
UNSUPPORTED = {'ema_config': "An average of the weights is custom_hooks = [dict(type='EMAHook')]",
               'amp': "Half precision is precision = 'fp16', or --amp"}
# What MMDetection's own config files and dumps define and nothing here needs to read: threads and workers follow the machine.
VARIABLES = ('input_size', 'dataset_type', 'data_root', 'img_norm_cfg', 'train_pipeline', 'test_pipeline',
             'backend_args', 'file_client_args', 'max_epochs', 'opencv_num_threads', 'mp_start_method', 'gpu_ids', 'device')


def check_top_level(cfg: Config) -> None:
    """Every top-level key is read by something, or the user hears of it.

    Raises:
        ConfigError: the first of `top_level_faults`.
    """
    for fault in top_level_faults(cfg):
        raise fault


def top_level_faults(cfg: Config) -> Iterator[ConfigError]:
    """Keys that are nearly one that is read, or mean what is not supported; warnings tell of others that nothing reads."""
    used = cfg.used_names | names_referred_to(cfg)
    for key in cfg:
        for keys, kind in KINDS:
            if key in keys and cfg[key] is not None and not isinstance(cfg[key], kind):
                yield ConfigError(f'{cfg.where(key)}: {key}: expected a {kind.__name__}, not {cfg[key]!r}')
        if key in UNSUPPORTED and cfg[key] not in (None, False) and lookup(cfg, f'{key}.enable', True):
            yield ConfigError(f'{cfg.where(key)}: {key}: not supported. {UNSUPPORTED[key]}')
        if key in KEYS or key in UNSUPPORTED or key in used:
            continue
        if key in cfg.outdated_names:
            warnings.warn(f'{_changed_at(cfg, key)}: {key}: has no effect: the config has used it already. Change what is made '
                          f'of it', UserWarning, stacklevel=3)
        if key in VARIABLES or key in cfg.outdated_names:
            continue
        close = nearest(key, KEYS, cutoff=0.75)
        if close:
            yield ConfigError(f"{cfg.where(key)}: {key}: nothing reads this key. Did you mean '{close}'?")
        else:
            warnings.warn(f'{cfg.where(key)}: {key}: nothing reads this key', UserWarning, stacklevel=3)


def has_sections(cfg: Config) -> bool:
    """Whether whatever should be a dict is one: else no more can be said."""
    return all(isinstance(cfg[key], dict) for key in SECTIONS if cfg.get(key) is not None)


def _changed_at(cfg: Config, key: str) -> str:
    """Where a top-level name got its last value; of a dict, which was merged, the entry that another file than its own set."""
    home, value = cfg.where(key), cfg[key]
    inner = [cfg.where(f'{key}.{name}') for name in value] if isinstance(value, dict) else []
    return next((place for place in inner if place.rpartition(':')[0] != home.rpartition(':')[0]), home)


def require(cfg: Config, *keys: str) -> None:
    """The config has these sections.

    Raises:
        ConfigError: it has not.
    """
    missing = [key for key in keys if lookup(cfg, key) is None]
    missing = [key for key in missing if key.rpartition('.')[0] not in missing]
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
