#!/usr/bin/env bash
# Train on a cluster with Slurm: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of tools/train.py]
#
# GPUS=16 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS='--time=12:00:00' say how much; see slurm.sh.
set -euo pipefail
# shellcheck source=tools/slurm.sh
source "$(dirname "${BASH_SOURCE[0]}")/slurm.sh"
if [[ $# -lt 4 ]]; then
    echo "slurm_train.sh: 4 arguments or more are needed, got $#; usage:" \
        'bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]' >&2
    exit 2
fi
slurm "$1" "$2" train.py "$3" --work-dir "$4" "${@:5}"
