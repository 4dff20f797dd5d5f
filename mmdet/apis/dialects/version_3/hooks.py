"""`default_hooks`, `vis_backends` and `visualizer` of MMDetection 3, as `checkpoint_config`, `log_config`, `custom_hooks`."""
from __future__ import annotations

from typing import Any, List

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of
from mmdet.apis.dialects.version_3.idle import leave_out, refusal

# What every run has here without being asked: name -> type.
ALWAYS = {'timer': 'IterTimerHook', 'param_scheduler': 'ParamSchedulerHook', 'sampler_seed': 'DistSamplerSeedHook',
          'runtime_info': 'RuntimeInfoHook'}
OF_CHECKPOINTS = ('interval', 'by_epoch', 'save_optimizer', 'out_dir', 'max_keep_ckpts', 'save_last', 'save_best', 'rule',
                  'greater_keys', 'less_keys')
PREFIXES = ('coco/', 'pascal_voc/')  # of metrics' names
WRITERS = {'LocalVisBackend': None, 'TensorboardVisBackend': 'TensorboardLoggerHook'}


def settle_hooks(cfg: Config, idle: List[str]) -> None:
    """The hooks and what writes logs, in place."""
    hooks = section_of(cfg, 'default_hooks') or {}
    _checkpoints(cfg, idle)
    _logs(cfg, idle)
    for name in list(hooks):
        key = f'default_hooks.{name}'
        hook = section_of(cfg, key) or {}
        if (name == 'visualization' and not hook.get('draw')) or not hook or ALWAYS.get(name) == hook.get('type'):
            drop(cfg, key)
        elif name == 'visualization':
            leave_out(cfg, key, idle)
        else:  # a hook of another name is one more
            cfg.rearrange('custom_hooks', [*(cfg.get('custom_hooks') or []), hook])
            drop(cfg, key)
    drop(cfg, 'default_hooks')


def _checkpoints(cfg: Config, idle: List[str]) -> None:
    key = 'default_hooks.checkpoint'
    hook = section_of(cfg, key) or {}
    if hook and hook.get('type', 'CheckpointHook') == 'CheckpointHook':
        drop(cfg, f'{key}.type')
        for name in [name for name in hook if name not in OF_CHECKPOINTS]:
            leave_out(cfg, f'{key}.{name}', idle)
        best = hook.get('save_best')
        if isinstance(best, (list, tuple)) and len(best) != 1:
            raise refusal(cfg, f'{key}.save_best', f'one metric chooses the best checkpoint here, not {len(best)}')
        if best:
            hook['save_best'] = _bare(best if isinstance(best, str) else best[0])
        move(cfg, key, 'checkpoint_config')


def _bare(metric: str) -> str:
    """A metric's name without that of its evaluator."""
    return next((metric[len(prefix):] for prefix in PREFIXES if metric.startswith(prefix)), metric)


def _logs(cfg: Config, idle: List[str]) -> None:
    key = 'default_hooks.logger'
    logger = section_of(cfg, key) or {}
    if logger and logger.get('type', 'LoggerHook') == 'LoggerHook':
        move(cfg, f'{key}.interval', 'log_config.interval')
        for name in [name for name in logger if name not in ('type', 'interval')]:
            leave_out(cfg, f'{key}.{name}', idle)
        drop(cfg, key)
    hooks = [dict(type='TextLoggerHook')]
    for kind in _writers(cfg):
        if kind not in WRITERS:
            place = cfg.where('vis_backends') or cfg.where('visualizer')
            idle.append(f'{kind} ({place})' if place else str(kind))
        elif WRITERS[kind]:
            hooks.append(dict(type=WRITERS[kind]))
    if lookup(cfg, 'log_config') is not None and 'hooks' not in cfg.log_config:
        cfg.merge_from_dict({'log_config.hooks': hooks}, source=cfg.where('log_config'))
    drop(cfg, 'vis_backends')
    drop(cfg, 'visualizer')


def _writers(cfg: Config) -> List[Any]:
    """The types of `visualizer.vis_backends`, or of `vis_backends`, of which that is made."""
    listed = lookup(cfg, 'visualizer.vis_backends') or lookup(cfg, 'vis_backends') or []
    return [backend.get('type') for backend in listed if isinstance(backend, dict)]
