from mmdet.models.dense_heads.ssd_head import SSDHead
from mmdet.models.list_heads import BaseDenseHead

__all__ = ['BaseDenseHead', 'SSDHead']
