"""Kinds of components that deliver samples."""
from mmcv_need.registry import Registry

DATASETS = Registry('DATASETS')
PIPELINES = Registry('PIPELINES')
