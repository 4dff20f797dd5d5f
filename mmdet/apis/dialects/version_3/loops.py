"""`train_cfg`, `val_cfg` and `test_cfg` of MMDetection 3: how long to train, and when to evaluate.

In MMDetection 2 the same names at the top level are those of the model's `train_cfg` and `test_cfg`.
"""
from __future__ import annotations

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import drop, lookup, move, section_of
from mmdet.apis.dialects.version_3.idle import refusal

TRAINING = {'EpochBasedTrainLoop': 'EpochBasedRunner'}
OF_TRAINING = ('type', 'by_epoch', 'max_epochs', 'max_iters', 'val_interval', 'val_begin', 'dynamic_intervals')
OF_TESTS = ('type', 'fp16')


def settle_loops(cfg: Config) -> None:
    """The loops as `runner` and the times of `evaluation`, in place."""
    _settle_tests(cfg)
    loop = lookup(cfg, 'train_cfg')
    if not isinstance(loop, dict) or not set(loop) & set(OF_TRAINING) or 'assigner' in loop:
        return
    section_of(cfg, 'train_cfg', OF_TRAINING)
    by_epoch = loop.get('by_epoch')
    default = 'EpochBasedTrainLoop' if by_epoch or (by_epoch is None and 'max_iters' not in loop) else 'IterBasedTrainLoop'
    kind = loop.get('type') or default
    if kind not in TRAINING:
        raise refusal(cfg, 'train_cfg.type' if 'type' in loop else 'train_cfg',
                      f'expected EpochBasedTrainLoop, with max_epochs, since training goes by epochs here, not {kind!r}; '
                      f'--max_steps N ends it after N steps')
    if loop.get('dynamic_intervals'):
        raise refusal(cfg, 'train_cfg.dynamic_intervals', 'evaluations come at one interval here; set train_cfg.val_interval')
    cfg.merge_from_dict({'runner.type': TRAINING[kind]}, source=cfg.where('train_cfg'))
    move(cfg, 'train_cfg.max_epochs', 'runner.max_epochs')
    if cfg.get('val_evaluator') is not None and cfg.get('val_dataloader') is not None:
        move(cfg, 'train_cfg.val_interval', 'evaluation.interval')
        if loop.get('val_begin', 1) not in (None, 1):
            move(cfg, 'train_cfg.val_begin', 'evaluation.start')
    drop(cfg, 'train_cfg')


def _settle_tests(cfg: Config) -> None:
    for key in ('val_cfg', 'test_cfg'):
        loop = lookup(cfg, key)
        if key in cfg and (key == 'val_cfg' or not isinstance(loop, dict) or set(loop) <= set(OF_TESTS)):
            section_of(cfg, key, OF_TESTS)
            drop(cfg, key)
