"""Other names of components that are the same thing."""
from __future__ import annotations

from mmcv_need.config import Config
from mmdet.apis.dialects import canonical


def test_the_classes_for_ascend_are_the_classes(tmp_path):
    (tmp_path / 'c.py').write_text(
        "model = dict(\n    bbox_head=dict(\n        type='AscendSSDHead'),\n    train_cfg=dict(assigner=dict("
        "type='AscendMaxIoUAssigner', pos_iou_thr=0.5)))")
    cfg = canonical(Config.fromfile(tmp_path / 'c.py'))
    assigner = dict(type='MaxIoUAssigner', pos_iou_thr=0.5)
    assert cfg.model == dict(bbox_head=dict(type='SSDHead'), train_cfg=dict(assigner=assigner))
    assert cfg.where('model.bbox_head.type').endswith('c.py:3')


def test_scopes_of_mmdetection_3_are_left_out():
    cfg = canonical(Config(dict(
        model=dict(type='mmdet.SingleStageDetector', bbox_head=dict(type='mmdet.AscendSSDHead')),
        custom_hooks=[dict(type='mmengine.EMAHook')], other=dict(type='mmpose.SSDHead'),
        pair=(dict(type='mmcv.Resize'), 'mmcv.x'))))
    assert cfg.to_dict() == dict(
        model=dict(type='SingleStageDetector', bbox_head=dict(type='SSDHead')), custom_hooks=[dict(type='EMAHook')],
        other=dict(type='mmpose.SSDHead'), pair=(dict(type='Resize'), 'mmcv.x'))
