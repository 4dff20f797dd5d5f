# shellcheck shell=bash
# Find or make the Python environment of this repository.
#
#     source tools/python_env.sh
#     python_env requirements.txt      # or requirements-test.txt
#
# exports PYTHON, an interpreter that has everything in that file, and OMP_NUM_THREADS if it is not set. It takes
#   1. the active environment (VIRTUAL_ENV, else CONDA_PREFIX);
#   2. .venv in the repository, if its Python runs;
#   3. a new .venv over the system's python3, if that imports torch (an Ascend server): torch stays as it is;
#   4. a new .venv of its own.
# and installs there what is missing. What is present is never upgraded, save in a .venv of kind 4 when a pin changes.
#
#     python_env tests/torch_1_8/requirements.txt .venv_1_8 /usr/bin/python3.8
#
# takes the folder .venv_1_8 in the repository instead, whatever is active or installed, and makes it with that Python, for
# which the pins of the file were chosen.
#
# The system's Python is never changed, nor the caller's directory. Without a network, see env_install.

ENV_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

python_env() {
    PYTHON="$(umask "${own_umask:-$(umask)}" && env_prepare "$ENV_ROOT/$1" "$ENV_ROOT/${2:-.venv}" "${3:-}")" || return 1
    export PYTHON
    if [[ -z "${OMP_NUM_THREADS:-}" ]]; then
        local cores
        cores="$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)"
        export OMP_NUM_THREADS="$((cores < 8 ? cores : 8))"
    fi
}

env_say() { echo "python_env: $*" >&2; }

# Print the interpreter that has everything in the requirements file $1, after making it so. $2 is the environment that may be
# made; $3 the Python that it has to be made with, if any will not do.
# A subshell, so that lock and trap end with it. Its stdout is the answer: all else goes to stderr.
env_prepare() (
    python="$(env_find "$2" "$3")" || exit 1
    missing=all
    [[ -z "$python" ]] || missing="$(env_query "$python" missing "$1")" || exit 1
    if [[ -n "$missing" ]]; then
        env_lock || exit 1
        python="$(env_find "$2" "$3")" || exit 1 # again: another script may have made it while this one waited
        if [[ -z "$python" ]]; then
            env_make "$2" "$3" || exit 1
            python="$2/bin/python"
        fi
        env_install "$python" "$1" || exit 1
    fi
    echo "$python"
)

# One script at a time: the second waits. The lock ends with the process that holds it, however it ends.
env_lock() {
    mkdir -p "$ENV_ROOT/.venv-lock" && exec 9>"$ENV_ROOT/.venv-lock/lock" || return 1
    if command -v flock >/dev/null && ! flock -n 9; then # macOS has no flock; there, do not start two at once
        env_say 'waiting for another script that prepares the environment'
        flock 9
    fi
}

env_runs() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; }

# Print the interpreter of the active environment, unless a Python is chosen ($2), or of $1; nothing if there is neither.
env_find() {
    local venv="$1" chosen="$2" active="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}"
    if [[ -z "$chosen" && -n "$active" ]]; then
        if ! env_runs "$active/bin/python"; then
            env_say "the active environment $active has no working Python >= 3.8; deactivate it or mend it"
            return 1
        fi
        echo "$active/bin/python"
    elif env_runs "$venv/bin/python"; then
        echo "$venv/bin/python"
    fi
}

# Make the environment $1, with the Python $2 if one is chosen; if that fails or is interrupted, leave nothing behind.
env_make() {
    local venv="$1" chosen="$2" base="$2" options=()
    if [[ -e "$venv" ]]; then
        env_say "$venv is there, but its Python does not run; move it away and run this again"
        return 1
    fi
    if [[ -z "$chosen" ]] && python3 -c 'import torch' 2>/dev/null && env_runs python3; then
        base=python3
        options=(--system-site-packages)
    elif [[ -z "$chosen" ]]; then
        base="$(env_base)" || return 1
    fi
    env_say "making $venv with $("$base" --version)"
    half_made="$venv" # not local: the trap may come when this function is left
    trap 'rm -rf "$half_made"' EXIT
    if ! "$base" -m venv "${options[@]+"${options[@]}"}" "$venv" >&2; then
        env_say "$base -m venv failed, see above (on Debian and Ubuntu it needs: apt install python3-venv)"
        return 1
    fi
    [[ "${#options[@]}" -gt 0 ]] || echo "$chosen" >"$venv/made_by_python_env" # its pins are ours to keep
    trap - EXIT
}

# Print the name of a Python that can make environments, the one that the pins were tested with first.
env_base() {
    local name found=''
    for name in python3.11 python3.12 python3.13 python3 python3.10 python3.9 python3.8; do
        if env_runs "$name"; then
            found="$name"
            if "$name" -c 'import venv, ensurepip' 2>/dev/null; then
                echo "$name"
                return
            fi
        fi
    done
    if [[ -n "$found" ]]; then
        env_say "$found cannot make environments; install the package python3-venv (Debian, Ubuntu: apt install python3-venv)"
    else
        env_say 'no Python >= 3.8 found on PATH; install one, or activate an environment that has it'
    fi
    return 1
}

# Install what is missing. Small packages first: without a network this ends before the download of torch begins.
env_install() {
    local python="$1" file="$2" missing torch held line options=()
    missing="$(env_query "$python" missing "$file")" || return 1
    [[ -n "$missing" ]] || return 0
    env_say "installing into $("$python" -c 'import sys; print(sys.prefix)'):" \
        "${missing//$'\n'/ }"
    held="$ENV_ROOT/.venv-lock/held.txt"
    env_query "$python" held "$file" >"$held" || return 1
    torch="$(grep -E '^torch(==|$)' <<<"$missing" || true)"
    while read -r line; do
        [[ -z "$line" || "$line" == "$torch" ]] || options+=("$line")
    done <<<"$missing"
    if [[ "${#options[@]}" -gt 0 ]]; then
        env_pip "$python" "$file" -c "$held" "${options[@]}" || return 1
    fi
    if [[ -n "$torch" ]]; then
        options=(-c "$held" "$torch")
        env_wants_cpu_index "$python" && options+=(--extra-index-url https://download.pytorch.org/whl/cpu)
        env_pip "$python" "$file" "${options[@]}" || return 1
    fi
}

env_pip() {
    local python="$1" file="$2"
    shift 2
    "$python" -m pip install "$@" >&2 && return
    env_say "pip could not install (its reason is above). Without a network: $python -m pip install --no-index" \
        "--find-links DIR_OF_WHEELS -r $file, or activate an environment that has these packages"
    return 1
}

# Whether torch should come from PyTorch's index of CPU builds: PyPI's own wheel for Linux brings gigabytes of CUDA.
# Not where there is an NVIDIA card, and not where the user has told pip which indexes to use.
env_wants_cpu_index() {
    [[ "$(uname -sm)" == 'Linux x86_64' && ! -e /dev/nvidia0 ]] || return 1
    local settings
    settings="$("$1" -m pip config list)"
    [[ ! "$settings" =~ (index-url|find-links|no-index)= ]]
}

# env_query PYTHON missing FILE: print what FILE requires and PYTHON lacks, one a line, in words for pip.
# env_query PYTHON held FILE: print constraints for pip that keep what is there as it is.
env_query() {
    "$1" - "$2" "$3" <<'END'
import importlib.metadata as metadata
import importlib.util
import pathlib
import re
import sys

MODULES = {'torch': 'torch', 'opencv-python-headless': 'cv2'}  # several packages provide these: ask for the module
TOOLS = ('pip', 'setuptools', 'wheel')  # how packages come in: a new torch may ask for newer ones
MADE = pathlib.Path(sys.prefix, 'made_by_python_env')
OURS = MADE.exists()
CHOSEN = OURS and MADE.read_text(encoding='utf-8').strip()  # the Python of a file that is for this one only
# Pins hold where this project chooses the versions. Somebody else's torch decides about numpy and the rest.
PINNED = bool(CHOSEN) or sys.version_info >= (3, 11) and (OURS or importlib.util.find_spec('torch') is None)


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'unknown' if name in MODULES and importlib.util.find_spec(MODULES[name]) else None


def requirements(path):
    for line in path.read_text(encoding='utf-8').splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('-r '):
            yield from requirements(path.parent / line[3:].strip())
        elif line:
            wanted, _, marker = line.partition(';')
            oldest = re.fullmatch(r' *python_version >= "3\.(\d+)"', marker)
            if not marker or sys.version_info >= (3, int(oldest.group(1))):
                yield wanted.strip()


if sys.argv[1] == 'missing':
    for wanted in requirements(pathlib.Path(sys.argv[2])):
        name, pin = wanted.split('==')
        found = version(name)
        if found is None or (OURS and PINNED and found.split('+')[0] != pin):  # +cpu says which build
            print(wanted if PINNED else name)
elif not OURS:
    for package in metadata.distributions():
        name = package.metadata['Name']
        if name and name not in TOOLS and re.fullmatch(r'\d[\w.+!]*', package.version or ''):
            print(f'{name}=={package.version}')
END
}
