#!/usr/bin/env bash
# Train on several cards: bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
#
# Several machines, the same command on each: NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 PORT=29500 bash tools/dist_train.sh ...
# GPUS are those of each machine. Who reaches the port can take part in the run: open it to these machines only.
set -euo pipefail
# shellcheck source=tools/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
[[ $# -ge 2 ]] ||
    usage_error "2 arguments or more are needed, got $#" 'bash tools/dist_train.sh CONFIG GPUS [arguments of train.py]'
launch train.py "$2" "$1" "${@:3}"
