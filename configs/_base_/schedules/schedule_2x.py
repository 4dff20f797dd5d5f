# 24 epochs, the rate divided by ten after 16 and 22.
optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=None)
lr_config = dict(
    policy='step',
    warmup='linear',
    warmup_iters=500,
    warmup_ratio=0.001,
    step=[16, 22])
auto_scale_lr = dict(enable=False, base_batch_size=64)  # pictures a step that the experiments' rates are for
runner = dict(type='EpochBasedRunner', max_epochs=24)
