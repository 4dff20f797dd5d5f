"""Importing this package registers every transform."""
from mmdet.datasets.pipelines import formatting, geometric, loading, photometric
from mmdet.datasets.pipelines.formatting import Compose
from mmdet.datasets.pipelines.sample import Sample

__all__ = ['Compose', 'Sample', 'formatting', 'geometric', 'loading', 'photometric']
