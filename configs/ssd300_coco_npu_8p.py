# SSD300, VGG-16, COCO 2017, eight Ascend NPUs
#
#   bash test/train_full_8p.sh --data_path=/path/to/coco
#   python tools/train.py configs/ssd300_coco_npu_8p.py --gpus 8
#
# Devices      eight cards, batch 8 each
# Hours        not measured here
# Expected     25.5 box mAP on val2017, published by Ascend's ModelZoo (24 epochs of 5 passes); not measured here
# Images/s     137.21 published by Ascend's ModelZoo; not measured here
# Differences  from ssd300_coco.py: collectives, 8 workers a card, and mixed precision as the published row has it: O2, loss
#              scale 128. --opt-level O0 is float32
_base_ = 'ssd300_coco.py'

dist_params = dict(backend='hccl')
data = dict(samples_per_gpu=8, workers_per_gpu=8)
precision = dict(opt_level='O2', loss_scale=128.)
