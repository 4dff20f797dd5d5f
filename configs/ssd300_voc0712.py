# SSD300, VGG-16, PASCAL VOC 2007 + 2012
#
#   python tools/train.py configs/ssd300_voc0712.py
#
# Devices      batch 8 a card; the learning rate is for 8 cards (64 pictures a step). On one card: optimizer.lr=0.000125
# Hours        not measured here
# Expected     76.5 mAP on VOC2007 test: MMDetection's published figure for this schedule; not measured here
# Images/s     not measured here
# Differences  from the paper: batch 64 instead of 32, the rate divided by ten after 16 and 20 of 24 epochs of 10 passes;
#              colours are distorted after resizing, as in MMDetection since 2.19; sizes of the boxes as in MMDetection
_base_ = ['_base_/models/ssd300.py', '_base_/datasets/voc0712.py', '_base_/schedules/schedule_2x.py',
          '_base_/default_runtime.py']

model = dict(bbox_head=dict(num_classes=20, anchor_generator=dict(basesize_ratio_range=(0.2, 0.9))))

img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[1, 1, 1], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Expand', mean=img_norm_cfg['mean'], to_rgb=img_norm_cfg['to_rgb'], ratio_range=(1, 4)),
    dict(type='MinIoURandomCrop', min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3),
    dict(type='Resize', img_scale=(300, 300), keep_ratio=False),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=32,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5),
        hue_delta=18),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(300, 300),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=False),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])
        ])
]
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=3,
    train=dict(times=10, dataset=dict(pipeline=train_pipeline)),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline))

optimizer = dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4)
optimizer_config = dict(_delete_=True)
lr_config = dict(step=[16, 20])
