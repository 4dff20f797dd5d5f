"""The kind of components that make default boxes."""
from mmcv_need.registry import Registry

ANCHOR_GENERATORS = Registry('ANCHOR_GENERATORS')
