#!/usr/bin/env bash
# Measure the training speed of SSD300 on one card: 1000 steps, without evaluation.
#
#     bash test/train_performance_1p.sh --data_path=/path/to/coco [--device_id=0] [--batch_size=8] [--max_steps=1000]
#                                       [--train_epochs=N] [--config=configs/ssd300_coco_npu.py] [--work_dir=FOLDER]
#                                       [--device=auto|npu|cuda|cpu] [--overwrite]
#
# Each run begins anew, in test/output/DEVICE_ID/CASE_NAME; of an earlier run in a --work_dir of your own, checkpoints and logs
# are moved into a folder there, or removed with --overwrite. --train_epochs ends the run earlier. ASCEND_DEVICE_ID, if set, is
# the card, as --device_id is.
# Output: the screen and test/output/DEVICE_ID/train_DEVICE_ID.log; the exit status is the training's.
set -euo pipefail
# shellcheck source=test/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

training_flags 'device_id' "$@"
choose_card
start_case SSD_for_PyTorch 1 perf configs/ssd300_coco_npu.py
performance_options
train_case last 1 "$PYTHON" tools/train.py "$config" "${card[@]+"${card[@]}"}" --no-validate "${options[@]}"
