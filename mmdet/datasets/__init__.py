"""Importing this package registers every dataset and transform."""
from mmdet.datasets import coco, custom, pipelines, voc, wider_face, wrappers
from mmdet.datasets.builder import DATASETS, PIPELINES, build_dataset
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.loader.data_loader import eval_loader, train_loader
from mmdet.datasets.voc import VOCDataset
from mmdet.datasets.wider_face import WIDERFaceDataset
from mmdet.datasets.wrappers import ClassBalancedDataset, ConcatDataset, RepeatDataset

__all__ = [
    'DATASETS', 'PIPELINES', 'ClassBalancedDataset', 'CocoDataset', 'ConcatDataset', 'CustomDataset', 'RepeatDataset',
    'VOCDataset', 'WIDERFaceDataset', 'build_dataset', 'coco', 'custom', 'eval_loader', 'pipelines', 'train_loader', 'voc',
    'wider_face', 'wrappers',
]
