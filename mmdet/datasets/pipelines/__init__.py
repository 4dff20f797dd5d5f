"""Importing this package registers every transform."""
from mmdet.datasets.pipelines import formatting, geometric, loading, photometric, random_crop, test_time_aug
from mmdet.datasets.pipelines.compose import Compose
from mmdet.datasets.pipelines.sample import Sample

__all__ = ['Compose', 'Sample', 'formatting', 'geometric', 'loading', 'photometric', 'random_crop', 'test_time_aug']
