#!/usr/bin/env bash
# Evaluate on a cluster with Slurm: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]
#
# GPUS=16 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS='--time=12:00:00' say how much; see slurm.sh.
set -euo pipefail
# shellcheck source=tools/slurm.sh
source "$(dirname "${BASH_SOURCE[0]}")/slurm.sh"
if [[ $# -lt 4 ]]; then
    echo "slurm_test.sh: 4 arguments or more are needed, got $#; usage:" \
        'bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]' >&2
    exit 2
fi
slurm "$1" "$2" test.py "$3" "$4" "${@:5}"
