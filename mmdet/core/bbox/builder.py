"""Kinds of components that match boxes, measure overlaps, and code boxes."""
from mmcv_need.registry import Registry

BBOX_ASSIGNERS = Registry('BBOX_ASSIGNERS')
BBOX_CODERS = Registry('BBOX_CODERS')
IOU_CALCULATORS = Registry('IOU_CALCULATORS')
