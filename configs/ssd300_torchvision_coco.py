# SSD300, VGG-16, COCO 2017, as torchvision's ssd300_vgg16: its weights load, converted or not, and give its outputs
#
#   python tools/test.py configs/ssd300_torchvision_coco.py torchvision://ssd300_vgg16_coco --eval bbox
#
# Devices      batch 4 a card; the learning rate is for 8 cards (32 pictures a step), as in torchvision's reference
# Hours        not measured here
# Expected     25.1 box mAP on val2017 of torchvision's weights: its published figure; not measured here
# Images/s     not measured here
# Differences  from ssd300_coco.py: default boxes at most 300 pixels wide and high; 91 columns of scores, of which 10 belong to
#              no class; RGB means of its own; 400 candidates of each class instead of 1000 of each level; scores above 0.01.
#              From torchvision: pictures are resized as bytes; all layers learn, where it freezes VGG's first two; the columns
#              of no class learn as background
_base_ = 'ssd300_coco.py'

img_norm_cfg = dict(mean=[122.99925, 116.9991, 103.9992], std=[1, 1, 1], to_rgb=True)  # (.48235, .45882, .40784) * 255
model = dict(
    bbox_head=dict(
        unnamed_classes=10,  # ids 12, 26, 29, 30, 45, 66, 68, 69, 71 and 83 of COCO
        anchor_generator=dict(
            _delete_=True,
            type='SSDAnchorGenerator',
            min_sizes=[21, 45, 99, 153, 207, 261],  # 300 * (.07, .15, .33, .51, .69, .87)
            max_sizes=[45, 99, 153, 207, 261, 315],
            max_side=300,
            strides=[8, 16, 32, 64, 100, 300],
            ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]]),
        bbox_coder=dict(add_ctr_clamp=True, ctr_clamp=1e6)),  # boxes grow within bounds and shrink without
    test_cfg=dict(
        nms_pre=400,
        nms_pre_counts='class',
        score_thr=0.01))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=32,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5),
        hue_delta=18),
    dict(type='Expand', mean=img_norm_cfg['mean'], to_rgb=img_norm_cfg['to_rgb'], ratio_range=(1, 4)),
    dict(type='MinIoURandomCrop', min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3),
    dict(type='Resize', img_scale=(300, 300), keep_ratio=False),
    dict(type='RandomFlip', flip_ratio=0.5),
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
    samples_per_gpu=4,
    train=dict(dataset=dict(pipeline=train_pipeline)),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline))
auto_scale_lr = dict(enable=False, base_batch_size=32)
