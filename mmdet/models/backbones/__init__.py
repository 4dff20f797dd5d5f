from mmdet.models.backbones.mobilenet_v2 import MobileNetV2
from mmdet.models.backbones.ssd_vgg import SSDVGG

__all__ = ['SSDVGG', 'MobileNetV2']
