# shellcheck shell=bash
# What dist_train.sh and dist_test.sh share: start a tool on cards of this machine, alone or with other machines.
#
# NNODES (1) machines, this one is NODE_RANK (0); rank 0 listens on MASTER_ADDR (127.0.0.1), PORT (29500). PYTHON is the
# interpreter; the active one if not set.

usage_error() {
    echo "$(basename "$0"): $1; usage: $2" >&2
    exit 2
}

launch_count() {
    if [[ ! "$2" =~ ^(0|[1-9][0-9]{0,8})$ || "$2" -lt "$3" ]]; then
        echo "$(basename "$0"): $1 must be a whole number of $3 or more, got '$2'" >&2
        exit 2
    fi
}

# launch TOOL GPUS ARGUMENTS...: this shell becomes the launcher, which gets its signals and gives its exit status.
launch() {
    local python="${PYTHON:-python}" tool gpus="$2" nodes="${NNODES:-1}" rank="${NODE_RANK:-0}" port="${PORT:-29500}"
    tool="$(dirname "${BASH_SOURCE[0]}")/$1"
    shift 2
    launch_count GPUS "$gpus" 1
    launch_count NNODES "$nodes" 1
    launch_count NODE_RANK "$rank" 0
    launch_count PORT "$port" 1
    if [[ "$nodes" -eq 1 ]]; then # no port is needed
        exec "$python" "$tool" --gpus "$gpus" "$@"
    fi
    if [[ "$rank" -ge "$nodes" ]]; then
        echo "$(basename "$0"): NODE_RANK=$rank, but of NNODES=$nodes machines the last is $((nodes - 1))" >&2
        exit 2
    fi
    local torchrun=(-m torch.distributed.run)
    "$python" -c 'import torch.distributed.run' 2>/dev/null || torchrun=(-m torch.distributed.launch --use_env) # torch 1.8
    exec "$python" "${torchrun[@]}" --nnodes "$nodes" --node_rank "$rank" --master_addr "${MASTER_ADDR:-127.0.0.1}" \
        --master_port "$port" --nproc_per_node "$gpus" "$tool" --launcher pytorch "$@"
}
