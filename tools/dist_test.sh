#!/usr/bin/env bash
# Evaluate on several cards: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py, such as --eval bbox]
#
# Several machines: see dist_train.sh.
set -euo pipefail
# shellcheck source=tools/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
[[ $# -ge 3 ]] ||
    usage_error "3 arguments or more are needed, got $#" 'bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]'
launch test.py "$3" "$1" "$2" "${@:4}"
