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
status=5 # "no test was chosen", as pytest says it; either of two runs may have none

run_tests() {
    local ended=0
    "$PYTHON" -m pytest -q "$@" || ended=$?
    if [[ "$ended" -ne 5 && ("$ended" -ne 0 || "$status" -eq 5) ]]; then status="$ended"; fi
}

slow=
if [[ "${1:-}" == --all ]]; then
    slow=yes
    shift
fi
# Quick tests run two files at a time. Slow ones have the machine to themselves: they end runs at random moments, and wait.
run_tests -m 'not slow' -n 2 --dist loadfile "$@"
if [[ -n "$slow" ]]; then run_tests -m slow "$@"; fi
exit "$status"
