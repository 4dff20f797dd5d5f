"""Kinds of components that match boxes and code them."""
from mmcv_need.registry import Registry

BBOX_ASSIGNERS = Registry('BBOX_ASSIGNERS')
BBOX_CODERS = Registry('BBOX_CODERS')
