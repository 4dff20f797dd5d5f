"""Importing this package registers every kind of suppression."""
from mmdet.core.post_processing import nms, soft_nms

__all__ = ['nms', 'soft_nms']
