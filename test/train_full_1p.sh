#!/usr/bin/env bash
# Train SSD300 on COCO on one card, all epochs, and report speed and the best accuracy.
#
#     bash test/train_full_1p.sh --data_path=/path/to/coco [--device_id=0] [--batch_size=8] [--train_epochs=24]
#                                [--config=configs/ssd300_coco_npu.py] [--work_dir=work_dirs/CONFIG_NAME]
#                                [--device=auto|npu|cuda|cpu] [--max_steps=N] [--overwrite]
#
# Batch and epochs are the config's unless given. An interrupted run goes on when the same command is given again; a finished
# one is refused, unless --overwrite removes it and starts anew. ASCEND_DEVICE_ID, if set, is the card, as --device_id is.
# Output: the screen and test/output/DEVICE_ID/train_DEVICE_ID.log. The exit status is the training's, 75 for one that was
# stopped and can go on.
set -euo pipefail
# shellcheck source=test/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

training_flags 'device_id' "$@"
choose_card
start_case SSD 1 acc configs/ssd300_coco_npu.py
full_options
train_case best 1 "$PYTHON" tools/train.py "$config" "${card[@]+"${card[@]}"}" "${options[@]}"
