#!/usr/bin/env bash
# Evaluate a trained SSD300 on the eight cards of this machine.
#
#     bash test/train_eval_8p.sh --data_path=/path/to/coco [--batch_size=8] [--checkpoint=WORK_DIR/latest.pth]
#                                [--config=configs/ssd300_coco_npu_8p.py] [--work_dir=work_dirs/CONFIG_NAME]
#                                [--device=auto|npu|cuda|cpu]
#
# --batch_size is each card's when testing; the config's training batch unless given. --work_dir is the folder of the training,
# which stays as it is. --train_epochs is accepted, as the ModelZoo's script does, and changes nothing.
# Output: the screen and test/output/0/train_0.log, metrics in test/output/0/CASE_NAME; the exit status is the evaluation's.
set -euo pipefail
# shellcheck source=test/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

# metrics_of FOLDER: the files of tools/test.py's results, one a line, by time.
metrics_of() {
    local path
    for path in "$1"/eval_*.json; do
        [[ ! -f "$path" ]] || echo "$path"
    done
}

# evaluate_case CHECKPOINT: the results that tools/test.py leaves go to a folder of the script's own.
evaluate_case() {
    local folder="$output/$case_name" metric batch=data.test_dataloader found numbers
    [[ -f "$1" ]] || fail "no checkpoint '$1'; train first (test/train_full_8p.sh), or give --checkpoint=FILE"
    metric="$(config_value evaluation.metric 2>/dev/null || echo bbox)"
    metric="${metric//[^A-Za-z ]/}" # it may be a list
    config_value data.test.samples_per_gpu >/dev/null 2>&1 && batch=data.test # as before MMDetection 2.24
    while IFS= read -r found; do
        [[ -z "$found" ]] || rm -f -- "$found"
    done <<<"$(metrics_of "$folder")"
    # shellcheck disable=SC2086
    run_logged "$log" "$PYTHON" tools/test.py "$config" "$1" --gpus "$cards" --work-dir "$folder" --device "$device" \
        --data-root "$data_path" --cfg-options "$batch.samples_per_gpu=$batch_size" --eval $metric
    end_if_failed evaluation "$log"
    found="$(metrics_of "$folder")"
    [[ -f "$found" ]] || fail "the evaluation wrote no eval_<time>.json into $folder"
    numbers="$("$PYTHON" tools/analysis_tools/run_results.py eval "$found")" || fail "no result; see above and $log"
    write_results "$numbers"
    final_report '' "$(number TrainAccuracy "$numbers")" "$seconds"
}

checkpoint=''
parse_flags 'data_path batch_size train_epochs checkpoint config device work_dir' '' "$@"
[[ -z "$checkpoint" || -f "$checkpoint" ]] || fail "--checkpoint: no file '$checkpoint'"
[[ -z "$checkpoint" ]] || checkpoint="$(absolute_path "$checkpoint")"
start_case SSD 8 eval configs/ssd300_coco_npu_8p.py
evaluate_case "${checkpoint:-${work_dir:-work_dirs/$(basename "$config" .py)}/latest.pth}"
