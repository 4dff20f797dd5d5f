# SSD300, VGG-16, COCO 2017, eight Ascend NPUs
#
#   torchrun --nproc_per_node 8 tools/train.py configs/ssd300_coco_npu_8p.py --launcher pytorch
#
# Devices      eight cards, batch 8 each
# Hours        not measured here
# Expected     25.5 box mAP on val2017, published by Ascend's ModelZoo (24 epochs of 5 passes); not measured here
# Images/s     137.21 published by Ascend's ModelZoo; not measured here
# Differences  from ssd300_coco.py: collectives, 8 workers a card. The published row is of mixed precision; this config is
#              float32, as the ModelZoo's file is: half precision by --cfg-options fp16.loss_scale=128.
_base_ = 'ssd300_coco.py'

dist_params = dict(backend='hccl')
data = dict(samples_per_gpu=8, workers_per_gpu=8)
