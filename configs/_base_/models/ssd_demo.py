# A small SSD for a CPU: a quarter of VGG's channels, BatchNorm, 160 pixels, five levels. Neck, head and losses are SSD300's.
input_size = 160
model = dict(
    type='SingleStageDetector',
    backbone=dict(type='SSDVGG', width_factor=0.25, norm_cfg=dict(type='BN')),
    neck=dict(
        type='SSDNeck',
        in_channels=(128, 256),
        out_channels=(128, 256, 128, 64, 64),
        level_strides=(2, 2, 1),
        level_paddings=(1, 1, 0),
        l2_norm_scale=5,  # BatchNorm's features are shorter than VGG's
        norm_cfg=dict(type='BN')),
    bbox_head=dict(
        type='SSDHead',
        in_channels=(128, 256, 128, 64, 64),
        num_classes=6,
        anchor_generator=dict(
            type='SSDAnchorGenerator',
            strides=[8, 16, 32, 53.3, 160],
            min_sizes=[14, 28, 56, 88, 120],
            max_sizes=[28, 56, 88, 120, 152],
            ratios=[[2], [2, 3], [2, 3], [2], [2]]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2])),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0., gt_max_assign_all=False),
        neg_pos_ratio=3),
    test_cfg=dict(nms_pre=1000, nms=dict(type='nms', iou_threshold=0.45), score_thr=0.02, max_per_img=100))
