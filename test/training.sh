# shellcheck shell=bash
# What train_full_*, train_performance_* and train_eval_* share, beside common.sh: names and places of a case, the command
# that runs, its output on the screen and in the log, its exit status, the results.
#
# A script calls training_flags, then start_case, which sets the variables that the rest goes by.
test_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=test/common.sh
source "$test_dir/common.sh"
# shellcheck source=test/running.sh
source "$test_dir/running.sh"

data_path='' batch_size='' train_epochs='' max_steps='' config='' device=auto work_dir='' overwrite=''
device_id='' node='' id=0 # the folder under test/output; node: a machine that is not the first

# training_flags 'NAME ...' ARGS...: the flags of all trainings, and these.
training_flags() {
    parse_flags "data_path batch_size train_epochs max_steps config device work_dir $1" overwrite "${@:2}"
}

check_flags() {
    local name
    [[ -n "$data_path" ]] || fail '--data_path is needed: --data_path=FOLDER with annotations/, train2017/ and val2017/'
    [[ -d "$data_path" ]] || fail "--data_path: no folder '$data_path'"
    [[ -z "$config" || -f "$config" ]] || fail "--config: no file '$config'"
    [[ "$device" =~ ^(auto|npu|cuda|cpu)$ ]] || fail "--device must be auto, npu, cuda or cpu, got '$device'"
    for name in batch_size train_epochs max_steps; do
        [[ -z "${!name}" ]] || check_count "$name"
    done
}

# Which card a script for one card uses: ASCEND_DEVICE_ID, else --device_id, else 0. Folder and training use the same.
choose_card() {
    local preset="${ASCEND_DEVICE_ID:-}" number='^(0|[1-9][0-9]{0,3})$'
    [[ -z "$device_id" || "$device_id" =~ $number ]] || fail "--device_id must be the number of a card, got '$device_id'"
    [[ -z "$preset" || "$preset" =~ $number ]] || fail "ASCEND_DEVICE_ID must be the number of a card, got '$preset'"
    if [[ -n "$preset" && -n "$device_id" && "$preset" != "$device_id" ]]; then
        fail "--device_id=$device_id, but ASCEND_DEVICE_ID=$preset is set; unset it, or give one of both"
    fi
    device_id="${preset:-$device_id}"
    card=()
    [[ -z "$device_id" ]] || card=(--gpu-id "$device_id")
    id="${device_id:-0}"
    export ASCEND_DEVICE_ID="$id"
    echo "device id is $id"
}

# start_case NETWORK CARDS acc|perf|eval DEFAULT_CONFIG: check what was given, go to the repository, find the environment,
# settle the names of the case. One of several cards is filed under 0; on a machine that is not the first its log is called so.
start_case() {
    network="$1" cards="$2" kind="$3"
    check_flags
    data_path="$(absolute_path "$data_path")"
    [[ -z "$config" ]] || config="$(absolute_path "$config")"
    [[ -z "$work_dir" ]] || work_dir="$(absolute_path "$work_dir")"
    cd "$test_dir/.." || exit 2
    : "${config:=$4}"
    [[ -f "$config" ]] || fail "--config: no file '$config'"
    output="test/output/$id"
    log="$output/train_$id${node:+_node$node}.log"
    { mkdir -p "$output" && : >"$log"; } || fail "cannot write to $log"
    if [[ "${etp_running_flag:-}" != true && "$device" != cpu && "$device" != cuda ]]; then
        # shellcheck source=test/env_npu.sh
        source "$test_dir/env_npu.sh"
    fi
    # shellcheck source=tools/python_env.sh
    source tools/python_env.sh
    python_env requirements.txt || fail 'the Python environment cannot be made; the reason is above'
    export PYTHONUNBUFFERED=1
    if [[ -z "$batch_size" ]]; then
        batch_size="$(config_value data.samples_per_gpu)"
        [[ "$batch_size" =~ ^[1-9][0-9]{0,8}$ ]] ||
            fail "$config: data.samples_per_gpu must be a whole number, got '$batch_size'; or give --batch_size=N"
    fi
    case_name="${network}_bs${batch_size}_${cards}p_$kind"
    losses="$output/train_${case_name}_loss.txt" results="$output/$case_name.log"
    [[ -n "$node" ]] || rm -f -- "$losses" "$results" || fail "cannot write to $output" # those of an earlier run of this case
}

config_value() {
    "$PYTHON" tools/print_config.py "$config" --key "$1"
}

# How a config calls its number of epochs: an option for both names would say one thing twice.
epochs_key() {
    if config_value total_epochs >/dev/null 2>&1; then echo total_epochs; else echo runner.max_epochs; fi
}

# train_options DEFAULT_EPOCHS: what all trainings tell tools/train.py. Where neither flag nor default says it, the config does.
train_options() {
    local changes=("data.samples_per_gpu=$batch_size") epochs="${train_epochs:-$1}"
    [[ -z "$epochs" ]] || changes+=("$(epochs_key)=$epochs")
    options=(--work-dir "$work_dir" --device "$device" --data-root "$data_path")
    [[ -z "$max_steps" ]] || options+=(--max_steps "$max_steps")
    [[ -z "$overwrite" ]] || options+=(--overwrite)
    options+=(--cfg-options "${changes[@]}")
}

# A training to the end goes on where an interrupted one ended; a finished one is refused, unless --overwrite.
full_options() {
    : "${work_dir:=work_dirs/$(basename "$config" .py)}"
    train_options ''
    [[ -n "$overwrite" ]] || options=(--auto-resume "${options[@]}")
}

# A measurement is made anew each time, in a folder of the script's own, unless --work_dir names another: what an earlier run
# left there is then moved aside by tools/train.py, and removed only with --overwrite. It takes exactly so many steps, however
# few an epoch of these data has.
performance_options() {
    : "${max_steps:=1000}"
    if [[ -z "$work_dir" ]]; then
        work_dir="$output/$case_name" overwrite=yes
    fi
    train_options "$max_steps"
}

# logs_of WORK_DIR: its .log.json, one a line, by time.
logs_of() {
    local path
    for path in "$1"/[0-9]*_[0-9]*.log.json; do
        [[ ! -f "$path" ]] || echo "$path"
    done
}

# train_case best|last MACHINES COMMAND...: train, and report the best accuracy, which must be there, or the last, if there is
# one.
train_case() {
    local accuracy="$1" machines="$2" earlier='' path logs=() numbers
    shift 2
    [[ "$kind" == acc && -z "$overwrite" ]] || earlier="$(logs_of "$work_dir")" # not of this run, which begins anew
    run_logged "$log" "$@"
    end_if_failed training "$log"
    if [[ -n "$node" ]]; then
        echo "node $node has done its part; node 0 has the results"
        return
    fi
    while IFS= read -r path; do
        [[ -z "$path" || $'\n'"$earlier"$'\n' == *$'\n'"$path"$'\n'* ]] || logs+=("$path")
    done <<<"$(logs_of "$work_dir")"
    [[ "${#logs[@]}" -gt 0 ]] || fail "training wrote no .log.json into $work_dir"
    numbers="$("$PYTHON" tools/analysis_tools/run_results.py train --cards "$((cards * machines))" --batch "$batch_size" \
        --accuracy "$accuracy" --losses "$losses" "${logs[@]}")" || fail "no result; the training itself is done, in $work_dir"
    write_results "$numbers"
    final_report "$(number ActualFPS "$numbers")" "$(number TrainAccuracy "$numbers")" "$seconds"
}

# number NAME LINES: the value in the line `NAME = value`.
number() {
    sed -n "s/^$1 = //p" <<<"$2"
}

# write_results LINES: the case and its numbers, under the names and in the order of the ModelZoo.
write_results() {
    local text
    text="Network = $network
RankSize = $cards
BatchSize = $batch_size
DeviceType = $(uname -m)
CaseName = $case_name
$1
E2ETrainingTime = $seconds"
    printf '%s\n' "$text" >"$results" || fail "cannot write the results to $results"
}
