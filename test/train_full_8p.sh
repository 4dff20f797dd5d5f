#!/usr/bin/env bash
# Train SSD300 on COCO on the eight cards of this machine, all epochs, and report speed and the best accuracy.
#
#     bash test/train_full_8p.sh --data_path=/path/to/coco [--batch_size=8] [--train_epochs=24]
#                                [--config=configs/ssd300_coco_npu_8p.py] [--work_dir=work_dirs/CONFIG_NAME]
#                                [--device=auto|npu|cuda|cpu] [--max_steps=N] [--overwrite]
#
# --batch_size is each card's. Batch and epochs are the config's unless given. An interrupted run goes on when the same command
# is given again; a finished one is refused, unless --overwrite removes it and starts anew. Eight processes run on the CPU only
# with --device=cpu. No port is opened to other machines.
# Output: the screen and test/output/0/train_0.log. The exit status is the training's, 75 for one that was stopped and can go
# on.
set -euo pipefail
# shellcheck source=test/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

training_flags '' "$@"
start_case SSD 8 acc configs/ssd300_coco_npu_8p.py
full_options
train_case best 1 "$PYTHON" tools/train.py "$config" --gpus "$cards" "${options[@]}"
