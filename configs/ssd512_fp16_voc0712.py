# SSD512, VGG-16, PASCAL VOC 2007 + 2012, half precision
#
#   python tools/train.py configs/ssd512_fp16_voc0712.py
#
# Devices      as ssd512_voc0712.py; on the CPU (torch 2.3 or newer) for a try only, see ssd300_fp16_coco.py
# Hours        not measured here
# Expected     79.5 mAP on VOC2007 test, which MMDetection publishes for float32; not measured here
# Images/s     not measured here
# Differences  from ssd512_voc0712.py: float16 where torch's autocast holds it safe (level O1), in evaluation too; float32
#              weights and losses; a loss scale that follows overflows; the warm-up is twice as long, from a tenth of the rate
_base_ = 'ssd512_voc0712.py'

fp16 = dict(loss_scale='dynamic')
lr_config = dict(warmup='linear', warmup_iters=1000, warmup_ratio=0.1)
