"""One spelling of precision: `precision = dict(opt_level, dtype, loss_scale)`, whatever a config or a command line says.

    precision = 'bf16'
    fp16 = dict(loss_scale=512.)                                        MMDetection 2.x
    opt_level = 'O1'; loss_scale = 128.                                 apex, as in the ModelZoo's train.py
    optimizer_config = dict(type='Fp16OptimizerHook', loss_scale=512.)  MMCV's hooks by name
    optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')      MMDetection 3.x

It is said once, in one of these; None (`fp16 = None`) says nothing. A loss scale may also be a dict of torch's GradScaler, or
of MMCV's and apex's LossScaler.
"""
from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from mmcv_need.arguments import is_number
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.precision import LEVELS
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of, twice

FP32, FP16, BF16 = {'opt_level': 'O0'}, {'opt_level': 'O1', 'dtype': 'float16'}, {'opt_level': 'O1', 'dtype': 'bfloat16'}
NAMES: Dict[str, Dict[str, str]] = {
    **{level: {'opt_level': level} for level in LEVELS},
    'fp32': FP32, 'float32': FP32, 'fp16': FP16, 'float16': FP16, '16-mixed': FP16,
    'bf16': BF16, 'bfloat16': BF16, 'bf16-mixed': BF16}
MMCV_SCALE = 512.0  # of MMCV's Fp16OptimizerHook where the config says none
LOSS_SCALER = {'mode': 'dynamic', 'init_scale': 2.0 ** 32, 'scale_factor': 2.0, 'scale_window': 1000}  # of MMCV
HALF_HOOKS = ('Fp16OptimizerHook', 'GradientCumulativeFp16OptimizerHook')
AVERAGING = ('coalesce', 'bucket_size_mb', 'distributed')  # how MMCV averaged float16 gradients; here torch does
# MMDetection 3.x: what each wrapper says of precision.
WRAPPERS: Dict[str, Tuple[str, ...]] = {
    'OptimWrapper': (), 'AmpOptimWrapper': ('loss_scale', 'dtype'), 'ApexOptimWrapper': ('loss_scale', 'opt_level')}


def settle_precision(cfg: Config) -> None:
    """Bring what a config says of precision to one form, in place; a config that says nothing gets no `precision`.

    Raises:
        ConfigError: it is said twice, or in a way that is not known.
    """
    sources = {'precision': (_of_name, cfg.get('precision') is not None),
               'fp16': (_of_fp16, cfg.get('fp16') is not None),
               'opt_level': (_of_apex, cfg.get('opt_level') is not None and 'opt_level' not in cfg.used_names),
               'optimizer_config.type': (_of_hook, lookup(cfg, 'optimizer_config.type') in HALF_HOOKS),
               'optim_wrapper.type': (_of_wrapper, bool(WRAPPERS.get(str(lookup(cfg, 'optim_wrapper.type')))))}
    said = [key for key, (_, is_said) in sources.items() if is_said]
    # Beside another spelling opt_level and loss_scale may be variables, of which that is made; alone they count.
    if not said and cfg.get('opt_level') is not None:
        said = ['opt_level']
    if len(said) > 1:
        raise twice(cfg, said[1], said[0])
    if cfg.get('loss_scale') is not None and said != ['opt_level'] and not (said and 'loss_scale' in cfg.used_names):
        how = f'{said[0]} comes with its own' if said else "nothing computes in half precision. Add opt_level = 'O1'"
        raise ConfigError(f"{cfg.where('loss_scale')}: loss_scale: {how}")
    for key in said:
        sources[key][0](cfg)
        _complete(cfg)
    for key in ('precision', 'fp16'):
        if cfg.get(key) is None:
            drop(cfg, key)


def override_precision(cfg: Config, opt_level: Optional[str] = None, loss_scale: Optional[str] = None,
                       amp: bool = False) -> None:
    """Let a command line say the precision: what it says replaces what the config says, and the rest stays.

    Args:
        cfg: in canonical form.
        opt_level: `--opt-level`: O0, O1 or O2. O0 needs no loss scale, so the config's goes.
        loss_scale: `--loss-scale`: a number, or 'dynamic'.
        amp: `--amp`: O1, unless the config asks for half precision already.

    Raises:
        ConfigError: they contradict each other, or nothing needs the loss scale.
    """
    if amp and opt_level:
        raise ConfigError(f'--amp and --opt-level {opt_level} say the same thing twice; --amp means O1')
    if amp and lookup(cfg, 'precision.opt_level', 'O0') == 'O0':
        cfg.merge_from_dict({'precision.opt_level': 'O1'}, source='--amp')
    if opt_level:
        cfg.merge_from_dict({'precision.opt_level': opt_level}, source='--opt-level')
    level = lookup(cfg, 'precision.opt_level', 'O0')
    if level == 'O0':
        drop(cfg, 'precision.loss_scale')
    if loss_scale is None:
        return
    if level == 'O0':
        why = 'float32 needs none' if opt_level else 'nothing computes in half precision. Add --opt-level O1'
        raise ConfigError(f'--loss-scale {loss_scale}: {why}')
    if lookup(cfg, 'precision.dtype') == 'bfloat16':
        raise ConfigError(f'--loss-scale {loss_scale}: bfloat16 has the range of float32 and needs none')
    cfg.merge_from_dict({'precision.loss_scale': _scale(loss_scale, '--loss-scale')}, source='--loss-scale')


def _of_name(cfg: Config) -> None:
    name = cfg.precision
    if isinstance(name, str):
        if name not in NAMES:
            raise ConfigError(f"{cfg.where('precision')}: precision: nothing is called '{name}'.{did_you_mean(name, NAMES)}")
        _begin(cfg, NAMES[name], 'precision')


def _of_fp16(cfg: Config) -> None:
    section_of(cfg, 'fp16', ('loss_scale', *AVERAGING))
    _begin(cfg, FP16, 'fp16')
    move(cfg, 'fp16.loss_scale', 'precision.loss_scale')
    drop(cfg, 'fp16')
    cfg.precision.setdefault('loss_scale', MMCV_SCALE)


def _of_apex(cfg: Config) -> None:
    move(cfg, 'opt_level', 'precision.opt_level')
    move(cfg, 'loss_scale', 'precision.loss_scale')


def _of_hook(cfg: Config) -> None:
    _begin(cfg, FP16, 'optimizer_config.type')
    move(cfg, 'optimizer_config.loss_scale', 'precision.loss_scale')
    cfg.precision.setdefault('loss_scale', MMCV_SCALE)


def _of_wrapper(cfg: Config) -> None:
    _begin(cfg, {}, 'optim_wrapper.type')
    for name in WRAPPERS[cfg.optim_wrapper.type]:
        move(cfg, f'optim_wrapper.{name}', f'precision.{name}')
    cfg.precision.setdefault('opt_level', 'O1')


def _begin(cfg: Config, settings: Dict[str, str], source: str) -> None:
    """A `precision` that was written where `source` is."""
    cfg.merge_from_dict({'precision': {'_delete_': True, **settings}}, source=cfg.where(source))


def _complete(cfg: Config) -> None:
    """Without what is None, with the level and the name of the dtype written out."""
    precision = section_of(cfg, 'precision')
    for key in [key for key, value in precision.items() if value is None]:
        drop(cfg, f'precision.{key}')
    if {'dtype', 'loss_scale'} & set(precision):
        precision.setdefault('opt_level', 'O1')
    if 'dtype' in NAMES.get(str(precision.get('dtype')), {}):
        precision['dtype'] = NAMES[precision.dtype]['dtype']
    if isinstance(precision.get('loss_scale'), dict):
        precision['loss_scale'] = _of_scaler(precision.loss_scale)
    if isinstance(precision.get('loss_scale'), str):
        precision['loss_scale'] = _scale(precision.loss_scale, f"{cfg.where('precision.loss_scale')}: precision.loss_scale")
    if precision.get('dtype') == 'bfloat16' and precision.get('loss_scale') == 'dynamic':
        drop(cfg, 'precision.loss_scale')  # MMDetection 3.x says it of both; bfloat16 has the range of float32


def _of_scaler(given: Dict[str, Any]) -> Any:
    """A loss scale written as the arguments of a GradScaler or a LossScaler, as LossScale takes it, which refuses the rest."""
    settings = {name: value for name, value in given.items() if (name, value) != ('enabled', True)}
    if not {'mode', 'scale_factor', 'scale_window'} & set(settings):
        return settings
    own = {**LOSS_SCALER, **{name: value for name, value in settings.items() if name in LOSS_SCALER}}
    rest = {name: value for name, value in settings.items() if name not in LOSS_SCALER}
    if own['mode'] == 'static' and not rest:
        return own['init_scale']
    if own['mode'] != 'dynamic' or not is_number(own['scale_factor']) or not own['scale_factor'] > 1:
        return settings
    return {'init_scale': own['init_scale'], 'growth_factor': own['scale_factor'], 'backoff_factor': 1 / own['scale_factor'],
            'growth_interval': own['scale_window'], **rest}


def _scale(text: str, key: str) -> Any:
    """A loss scale that is written as text: 'dynamic', or a number."""
    try:
        return text if text == 'dynamic' else float(text)
    except ValueError:
        raise ConfigError(f"{key}: expected a number such as 128., or 'dynamic', not '{text}'") from None
