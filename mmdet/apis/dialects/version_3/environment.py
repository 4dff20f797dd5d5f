"""What MMDetection 3 says of processes, random numbers and where a run goes on."""
from __future__ import annotations

from typing import List

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of
from mmdet.apis.dialects.version_3.idle import leave_out, refusal

# Nothing here needs to be told: names have no scopes, and threads and starts of processes follow the machine.
HARMLESS = ('default_scope', 'launcher', 'experiment_name')


def settle_environment(cfg: Config, idle: List[str]) -> None:
    """`env_cfg`, `randomness`, `resume` and the rest, in place."""
    environment = section_of(cfg, 'env_cfg', ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit')) or {}
    if environment.get('cudnn_benchmark') is not None:
        drop(cfg, 'cudnn_benchmark')  # left over from MMDetection 2, and not read by MMEngine
        move(cfg, 'env_cfg.cudnn_benchmark', 'cudnn_benchmark')
    if lookup(cfg, 'env_cfg.dist_cfg.backend') is not None:
        move(cfg, 'env_cfg.dist_cfg.backend', 'dist_params.backend')
    drop(cfg, 'env_cfg')
    randomness = section_of(cfg, 'randomness', ('seed', 'deterministic', 'diff_rank_seed')) or {}
    for name in ('seed', 'deterministic'):
        move(cfg, f'randomness.{name}', name)
    if randomness.get('diff_rank_seed'):
        leave_out(cfg, 'randomness.diff_rank_seed', idle)
    drop(cfg, 'randomness')
    _resume(cfg)
    processor = section_of(cfg, 'log_processor') or {}
    if processor.get('custom_cfg'):
        leave_out(cfg, 'log_processor.custom_cfg', idle)
    drop(cfg, 'log_processor')
    for key in ('tta_model', 'tta_pipeline'):
        if cfg.get(key) is not None:
            leave_out(cfg, key, idle)
        drop(cfg, key)
    for key in HARMLESS:
        drop(cfg, key)


def _resume(cfg: Config) -> None:
    """`resume = True` goes on from `load_from`, or from the last checkpoint of the work directory."""
    resume = cfg.get('resume')
    if resume not in (None, False, True):
        raise refusal(cfg, 'resume', f'expected True or False, not {resume!r}')
    if resume and cfg.get('load_from') is not None:
        move(cfg, 'load_from', 'resume_from')
    elif resume:
        move(cfg, 'resume', 'auto_resume')
    drop(cfg, 'resume')
