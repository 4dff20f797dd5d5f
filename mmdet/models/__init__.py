"""Importing this package registers every part of a detector."""
from mmdet.core.anchor import legacy_anchor_generator
from mmdet.core.bbox import legacy_coder
from mmdet.models import activations, conv_module, first_weights, initializers, layers, norms
from mmdet.models.backbones import mobilenet_v2, ssd_vgg
from mmdet.models.backbones.mobilenet_v2 import MobileNetV2
from mmdet.models.backbones.ssd_vgg import SSDVGG
from mmdet.models.builder import (
    BACKBONES,
    DETECTORS,
    HEADS,
    LOSSES,
    NECKS,
    build_backbone,
    build_detector,
    build_head,
    build_loss,
    build_neck,
)
from mmdet.models.dense_heads import ssd_head
from mmdet.models.dense_heads.ssd_head import SSDHead
from mmdet.models.detectors import single_stage
from mmdet.models.detectors.single_stage import SingleStageDetector
from mmdet.models.losses import box_losses
from mmdet.models.necks import ssd_neck
from mmdet.models.necks.ssd_neck import SSDNeck

__all__ = [
    'BACKBONES',
    'DETECTORS',
    'HEADS',
    'LOSSES',
    'NECKS',
    'SSDVGG',
    'MobileNetV2',
    'SSDHead',
    'SSDNeck',
    'SingleStageDetector',
    'activations',
    'box_losses',
    'build_backbone',
    'build_detector',
    'build_head',
    'build_loss',
    'build_neck',
    'conv_module',
    'first_weights',
    'initializers',
    'layers',
    'legacy_anchor_generator',
    'legacy_coder',
    'mobilenet_v2',
    'norms',
    'single_stage',
    'ssd_head',
    'ssd_neck',
    'ssd_vgg',
]
