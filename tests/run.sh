#!/usr/bin/env bash
# Run the tests from a fresh clone on: bash tests/run.sh [--all] [pytest arguments]
# --all includes the tests that take minutes. The exit status is pytest's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/python_env.sh
source tools/python_env.sh
python_env requirements-test.txt

# Several tests start processes of their own. Threads that wait by sleeping, not by spinning, leave them the cores.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
selection=(-m 'not slow')
if [[ "${1:-}" == --all ]]; then
    selection=(-m '')
    shift
fi
exec "$PYTHON" -m pytest -q "${selection[@]}" "$@"
