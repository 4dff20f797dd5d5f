#!/usr/bin/env bash
# Train a small SSD on drawn shapes, from a fresh clone on: environment, data, training, evaluation, report.
#
#     bash test/train_demo.sh [--data_path=data/demo] [--config=configs/ssd_demo.py] [--work_dir=work_dirs/CONFIG_NAME]
#                             [--device=auto|npu|cuda|cpu] [--train_epochs=N] [--overwrite]
#
# Without --data_path the data is drawn first. A second run goes on where an interrupted one ended; a finished one is refused,
# unless --overwrite removes it and starts anew.
# Output goes to the screen and to test/output/demo/train_demo.log; the exit status is the training's.
set -euo pipefail
test_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=test/common.sh
source "$test_dir/common.sh"

data_path='' work_dir='' config='' device=auto train_epochs='' overwrite=''
parse_flags 'data_path work_dir config device train_epochs' overwrite "$@"
[[ "$device" =~ ^(auto|npu|cuda|cpu)$ ]] || fail "--device must be auto, npu, cuda or cpu, got '$device'"
[[ -z "$train_epochs" ]] || check_count train_epochs
[[ -z "$data_path" || -d "$data_path" ]] || fail "--data_path: no folder '$data_path'"
[[ -z "$config" || -f "$config" ]] || fail "--config: no file '$config'"
[[ -z "$data_path" ]] || data_path="$(absolute_path "$data_path")"
[[ -z "$work_dir" ]] || work_dir="$(absolute_path "$work_dir")"
[[ -z "$config" ]] || config="$(absolute_path "$config")"

cd "$test_dir/.."
: "${config:=configs/ssd_demo.py}"
: "${work_dir:=work_dirs/$(basename "$config" .py)}"
output=test/output/demo
mkdir -p "$output"

# shellcheck source=tools/python_env.sh
source tools/python_env.sh
python_env requirements.txt
if [[ -z "$data_path" ]]; then
    data_path=data/demo
    "$PYTHON" tools/make_demo_data.py --out "$data_path"
fi
batch_size="$("$PYTHON" tools/print_config.py "$config" --key data.samples_per_gpu)"
[[ "$batch_size" =~ ^[1-9][0-9]*$ ]] || fail "$config: data.samples_per_gpu must be a whole number, got '$batch_size'"

go_on=--auto-resume
[[ -z "$overwrite" ]] || go_on=--overwrite
command=("$PYTHON" tools/train.py "$config" --work-dir "$work_dir" "$go_on" --seed 0
    --device "$device" --data-root "$data_path")
[[ -z "$train_epochs" ]] || command+=(--cfg-options "runner.max_epochs=$train_epochs")
start="$(date +%s)"
status=0
PYTHONUNBUFFERED=1 "${command[@]}" 2>&1 | tee "$output/train_demo.log" || status="${PIPESTATUS[0]}"
seconds="$(($(date +%s) - start))"
if [[ "$status" -ne 0 ]]; then
    echo "train_demo.sh: training ended with exit status $status; the reason is above and in $output/train_demo.log" >&2
    exit "$status"
fi

# The names of the logs are times, so the shell lists them in order; a run that went on has several.
logs=("$work_dir"/*.log.json)
[[ -f "${logs[0]}" ]] || fail "training wrote no .log.json into $work_dir"
joined="$output/train_demo.log.json"
awk 1 "${logs[@]}" >"$joined" # like cat, but a file without a newline at its end does not run into the next
fps="$(total_fps "$joined" 1 "$batch_size")" || fps='none: see above'
final_report "$fps" "$(best_metric bbox_mAP_50 "$joined")" "$seconds"
