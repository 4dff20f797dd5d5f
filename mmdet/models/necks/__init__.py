from mmdet.models.necks.ssd_neck import SSDNeck

__all__ = ['SSDNeck']
