# SSD300, VGG-16, COCO 2017, one Ascend NPU
#
#   bash test/train_full_1p.sh --data_path=/path/to/coco
#   python tools/train.py configs/ssd300_coco_npu.py
#
# Devices      one card, batch 8; the rate is an eighth of that of 8 cards
# Hours        not measured here
# Expected     Ascend's ModelZoo publishes no mAP for one card
# Images/s     13.55 published by Ascend's ModelZoo; not measured here
# Differences  from ssd300_coco.py: learning rate, collectives, 8 workers, and mixed precision as the published row has it: O2,
#              loss scale 128. --opt-level O0 is float32
_base_ = 'ssd300_coco.py'

optimizer = dict(type='SGD', lr=2e-3 / 8, momentum=0.9, weight_decay=5e-4)
auto_scale_lr = dict(base_batch_size=8)
dist_params = dict(backend='hccl')
data = dict(samples_per_gpu=8, workers_per_gpu=8)
precision = dict(opt_level='O2', loss_scale=128.)
