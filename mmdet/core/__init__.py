"""Boxes and pictures: tensors in, tensors out. Names as MMDetection's users import them from here."""
from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.anchor.builder import ANCHOR_GENERATORS, PRIOR_GENERATORS, build_anchor_generator, build_prior_generator
from mmdet.core.bbox.assign_result import AssignResult, PseudoSampler, SamplingResult
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.core.bbox.builder import (
    BBOX_ASSIGNERS,
    BBOX_CODERS,
    BBOX_SAMPLERS,
    IOU_CALCULATORS,
    build_assigner,
    build_bbox_coder,
    build_iou_calculator,
    build_sampler,
)
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.bbox.iou import bbox_overlaps
from mmdet.core.per_picture import bbox2result, images_to_levels, multi_apply, multiclass_nms, unmap

__all__ = [
    'ANCHOR_GENERATORS',
    'BBOX_ASSIGNERS',
    'BBOX_CODERS',
    'BBOX_SAMPLERS',
    'IOU_CALCULATORS',
    'PRIOR_GENERATORS',
    'AssignResult',
    'DeltaXYWHBBoxCoder',
    'MaxIoUAssigner',
    'PseudoSampler',
    'SSDAnchorGenerator',
    'SamplingResult',
    'bbox2result',
    'bbox_overlaps',
    'build_anchor_generator',
    'build_assigner',
    'build_bbox_coder',
    'build_iou_calculator',
    'build_prior_generator',
    'build_sampler',
    'images_to_levels',
    'multi_apply',
    'multiclass_nms',
    'unmap',
]
