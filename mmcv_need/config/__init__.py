"""Configs: text -> checked data that knows where it was written."""
from mmcv_need.config.config import Config
from mmcv_need.config.config_dict import ConfigDict
from mmcv_need.config.options import DictAction, parse_options

__all__ = ['Config', 'ConfigDict', 'DictAction', 'parse_options']
