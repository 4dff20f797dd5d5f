#!/usr/bin/env bash
# Run the tests of the torch 1.8 line (docs/en/torch_1_8.md): bash tests/run_1_8.sh [pytest arguments]
# It makes .venv_1_8 of Python 3.8 and 1.8_requirements.txt, and runs there a selection of all tests, and tests/torch_1_8, which
# exchanges checkpoints with the environment of requirements.txt. PYTHON_3_8=/path/to/python3.8 says which Python 3.8 to take.
# The exit status is pytest's; 1 without a Python 3.8.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

is_3_8() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 8))' 2>/dev/null; }

# Print a Python 3.8 that can make environments. python3.8 of pyenv runs only where it is switched on: hence the test.
find_3_8() {
    local candidate candidates=(python3.8 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.8.*/bin/python)
    [[ -z "${PYTHON_3_8:-}" ]] || candidates=("$PYTHON_3_8")
    for candidate in "${candidates[@]}"; do
        if is_3_8 "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "tests/run_1_8.sh: no Python 3.8 with venv: looked at ${candidates[*]}. Install one (pyenv install 3.8; Debian," \
        "Ubuntu: apt install python3.8 python3.8-venv), or say where it is: PYTHON_3_8=/path/to/python3.8" >&2
    return 1
}

python_3_8="$(find_3_8)"
# shellcheck source=tools/python_env.sh
source tools/python_env.sh
python_env requirements.txt
if "$PYTHON" -c 'import torch, sys; sys.exit(not torch.__version__.startswith("1."))'; then
    echo "tests/run_1_8.sh: $PYTHON has torch 1 too, and checkpoints are exchanged with a newer one: deactivate that" \
        "environment, or move .venv away" >&2
    exit 1
fi
export NEWER_PYTHON="$PYTHON"
python_env tests/torch_1_8/requirements.txt .venv_1_8 "$python_3_8"

export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
engine=(hooks/schedules serialization test_epoch_based_runner.py test_foreign_checkpoints.py test_run_state.py
    test_torch_versions.py test_weights.py)
selection=(tests/torch_1_8 tests/parity tests/mmdet/core tests/mmdet/models "${engine[@]/#/tests/mmcv_need/}")
[[ "$#" -eq 0 ]] || selection=("$@")
exec "$PYTHON" -m pytest -q -m 'not slow and not newer_torch' "${selection[@]}"
