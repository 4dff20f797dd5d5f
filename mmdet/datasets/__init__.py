"""Importing this package registers every dataset and transform."""
from mmdet.datasets import coco, custom, pipelines, voc, wider_face, wrappers
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.datasets.loader.data_loader import eval_loader, train_loader

__all__ = ['DATASETS', 'PIPELINES', 'coco', 'custom', 'eval_loader', 'pipelines', 'train_loader', 'voc', 'wider_face',
           'wrappers']
