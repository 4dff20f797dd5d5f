"""Hooks by their config names."""
from mmcv_need.hooks.checkpoint import CheckpointHook
from mmcv_need.hooks.evaluation import EvalHook
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.iter_timer import IterTimerHook
from mmcv_need.hooks.lr_updater import FixedLrUpdaterHook, LrUpdaterHook, StepLrUpdaterHook
from mmcv_need.hooks.sampler_seed import DistSamplerSeedHook
from mmcv_need.hooks.text_logger import TextLoggerHook

__all__ = ['HOOKS', 'CheckpointHook', 'DistSamplerSeedHook', 'EvalHook', 'FixedLrUpdaterHook', 'Hook', 'IterTimerHook',
           'LrUpdaterHook', 'StepLrUpdaterHook', 'TextLoggerHook']
