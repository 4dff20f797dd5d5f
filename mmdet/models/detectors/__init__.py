from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.single_stage import SingleStageDetector

__all__ = ['BaseDetector', 'SingleStageDetector']
