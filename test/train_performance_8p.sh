#!/usr/bin/env bash
# Measure the training speed of SSD300 on the eight cards of this machine: 1000 steps.
#
#     bash test/train_performance_8p.sh --data_path=/path/to/coco [--batch_size=8] [--max_steps=1000] [--train_epochs=N]
#                                       [--config=configs/ssd300_coco_npu_8p.py] [--work_dir=FOLDER]
#                                       [--device=auto|npu|cuda|cpu] [--overwrite]
#
# --batch_size is each card's. Epochs that are whole within these steps are evaluated, and the last accuracy is reported; on
# COCO no epoch is, and it is 'none'. Each run begins anew, in test/output/0/CASE_NAME; of an earlier run in a --work_dir of
# your own, checkpoints and logs are moved into a folder there, or removed with --overwrite. --train_epochs ends the run
# earlier. Eight processes run on the CPU only with --device=cpu.
# Output: the screen and test/output/0/train_0.log; the exit status is the training's.
set -euo pipefail
# shellcheck source=test/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

training_flags '' "$@"
start_case SSD 8 perf configs/ssd300_coco_npu_8p.py
performance_options
train_case last 1 "$PYTHON" tools/train.py "$config" --gpus "$cards" "${options[@]}"
