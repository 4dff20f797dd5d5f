"""Wiring: what scripts and tools call."""
from mmdet.apis.custom_imports import import_custom_modules
from mmdet.apis.inference import inference_detector, init_detector
from mmdet.apis.num_class_check import NumClassCheckHook
from mmdet.apis.test import test_detector
from mmdet.apis.train import train_detector

__all__ = ['NumClassCheckHook', 'import_custom_modules', 'inference_detector', 'init_detector', 'test_detector',
           'train_detector']
