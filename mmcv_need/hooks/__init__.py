"""Hooks by their config names."""
from mmcv_need.hooks.checkpoint import CheckpointHook
from mmcv_need.hooks.early_stopping import EarlyStoppingHook
from mmcv_need.hooks.ema import EMAHook, ExpMomentumEMAHook, LinearMomentumEMAHook
from mmcv_need.hooks.empty_cache import EmptyCacheHook
from mmcv_need.hooks.evaluation import EvalHook
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.invalid_loss import CheckInvalidLossHook
from mmcv_need.hooks.iter_timer import IterTimerHook
from mmcv_need.hooks.logger import LoggerHook
from mmcv_need.hooks.profiler import ProfilerHook
from mmcv_need.hooks.roll_back import RollBackHook
from mmcv_need.hooks.sampler_seed import DistSamplerSeedHook
from mmcv_need.hooks.schedules.lr_cycles import CyclicLrUpdaterHook, OneCycleLrUpdaterHook
from mmcv_need.hooks.schedules.lr_policies import (
    CosineAnnealingLrUpdaterHook,
    CosineRestartLrUpdaterHook,
    ExpLrUpdaterHook,
    FlatCosineAnnealingLrUpdaterHook,
    InvLrUpdaterHook,
    PolyLrUpdaterHook,
)
from mmcv_need.hooks.schedules.lr_updater import FixedLrUpdaterHook, LrUpdaterHook, StepLrUpdaterHook
from mmcv_need.hooks.schedules.momentum_updater import (
    CosineAnnealingMomentumUpdaterHook,
    CyclicMomentumUpdaterHook,
    FixedMomentumUpdaterHook,
    MomentumUpdaterHook,
    OneCycleMomentumUpdaterHook,
    StepMomentumUpdaterHook,
)
from mmcv_need.hooks.sync_buffers import SyncBuffersHook
from mmcv_need.hooks.tensorboard_logger import TensorboardLoggerHook
from mmcv_need.hooks.text_logger import TextLoggerHook
from mmcv_need.hooks.time_limit import TimeLimitHook

__all__ = [
    'HOOKS', 'CheckInvalidLossHook', 'CheckpointHook', 'CosineAnnealingLrUpdaterHook', 'CosineAnnealingMomentumUpdaterHook',
    'CosineRestartLrUpdaterHook', 'CyclicLrUpdaterHook', 'CyclicMomentumUpdaterHook', 'DistSamplerSeedHook', 'EMAHook',
    'EarlyStoppingHook', 'EmptyCacheHook', 'EvalHook', 'ExpLrUpdaterHook', 'ExpMomentumEMAHook', 'FixedLrUpdaterHook',
    'FixedMomentumUpdaterHook', 'FlatCosineAnnealingLrUpdaterHook', 'Hook', 'InvLrUpdaterHook', 'IterTimerHook',
    'LinearMomentumEMAHook', 'LoggerHook', 'LrUpdaterHook', 'MomentumUpdaterHook', 'OneCycleLrUpdaterHook',
    'OneCycleMomentumUpdaterHook', 'PolyLrUpdaterHook', 'ProfilerHook', 'RollBackHook', 'StepLrUpdaterHook',
    'StepMomentumUpdaterHook', 'SyncBuffersHook', 'TensorboardLoggerHook', 'TextLoggerHook', 'TimeLimitHook',
]
