# shellcheck shell=bash
# What slurm_train.sh and slurm_test.sh share: start a tool with srun, a task for each card.
#
# GPUS (8) cards in all, GPUS_PER_NODE (8, or GPUS if that is less), CPUS_PER_TASK (5); GRES is what the cluster calls the cards
# of a node (gpu:GPUS_PER_NODE; such as npu:8; empty for none), SRUN_ARGS are further arguments of srun, separated by blanks.
# Rank 0 listens on the first node of the step, on MASTER_PORT (29500). PYTHON is the interpreter; the active one if not set.

# slurm PARTITION JOB_NAME TOOL ARGUMENTS...
slurm() {
    local name gpus="${GPUS:-8}" per_node="${GPUS_PER_NODE:-8}" cpus="${CPUS_PER_TASK:-5}" tool extra=()
    for name in "GPUS=$gpus" "GPUS_PER_NODE=$per_node" "CPUS_PER_TASK=$cpus"; do
        if [[ ! "$name" =~ =[1-9][0-9]{0,8}$ ]]; then
            echo "$(basename "$0"): ${name%%=*} must be a whole number of 1 or more, got '${name#*=}'" >&2
            exit 2
        fi
    done
    [[ "$per_node" -le "$gpus" ]] || per_node="$gpus"
    local options=(-p "$1" "--job-name=$2" "--ntasks=$gpus" "--ntasks-per-node=$per_node" "--cpus-per-task=$cpus")
    [[ -z "${GRES-gpu}" ]] || options+=("--gres=${GRES-gpu:$per_node}")
    tool="$(dirname "${BASH_SOURCE[0]}")/$3"
    shift 3
    IFS=' ' read -ra extra <<<"${SRUN_ARGS:-}"
    exec srun "${options[@]}" --kill-on-bad-exit=1 "${extra[@]+"${extra[@]}"}" \
        "${PYTHON:-python}" -u "$tool" --launcher slurm "$@"
}
