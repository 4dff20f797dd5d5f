"""The part of MMCV that a detector needs."""
from mmcv_need.mmcv_alias import as_mmcv

__all__ = ['as_mmcv']
