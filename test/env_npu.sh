# shellcheck shell=bash
# The environment of CANN, for training on Ascend NPUs: source test/env_npu.sh
#
# The scripts of this folder source it by themselves, unless etp_running_flag=true says that the environment is made already.
# It changes nothing on a machine without CANN. A variable that is set keeps its value; what stands here are defaults.
# CANN is looked for where /etc/Ascend/ascend_cann_install.info says, else in /usr/local/Ascend; ASCEND_INSTALL_PATH names
# another folder. An environment that is active (ASCEND_TOOLKIT_HOME is set) is kept.

# Print the set_env.sh of CANN; fail if there is none. Since CANN 8.5 it lies in cann/, before in ascend-toolkit/ or nnae/.
npu_set_env() {
    local info=/etc/Ascend/ascend_cann_install.info root="${ASCEND_INSTALL_PATH:-}" part
    if [[ -z "$root" && -r "$info" ]]; then
        root="$(sed -n 's/^Install_Path=//p' "$info" | sed -n 1p)"
    fi
    for part in cann ascend-toolkit nnae; do
        if [[ -f "${root:-/usr/local/Ascend}/$part/set_env.sh" ]]; then
            echo "${root:-/usr/local/Ascend}/$part/set_env.sh"
            return
        fi
    done
    return 1
}

npu_default() {
    export "$1=${!1:-$2}"
}

npu_defaults() {
    npu_default ASCEND_SLOG_PRINT_TO_STDOUT 0 # the host's log goes to its files
    npu_default ASCEND_GLOBAL_LOG_LEVEL 3     # 0 debug, 1 info, 2 warning, 3 error
    npu_default ASCEND_GLOBAL_EVENT_ENABLE 0
    # Operators are queued and the host runs ahead. The 1-card scripts of the ModelZoo had 0, where each launch is waited for:
    # good to find the operator that fails, and slower. 2 hands over more of the launch to the queue's thread, for more memory;
    # torch_npu advises it with the stack's binary operators, which are the default here (npu.jit_compile=False). Not run yet.
    npu_default TASK_QUEUE_ENABLE 1
    # CPU_AFFINITY_CONF stays unset: each process binds itself and its workers to cores of its own (mmcv_need/cores.py).
    # ASCEND_LAUNCH_BLOCKING stays unset: 1 would wait for every operator.
    npu_default PTCOPY_ENABLE 1
    npu_default COMBINED_ENABLE 1
    npu_default DYNAMIC_OP 'ADD#MUL'
    # No whitelist of machines: keep the ports of HCCL to the machines of the run by a firewall.
    npu_default HCCL_WHITELIST_DISABLE 1
    npu_default HCCL_CONNECT_TIMEOUT 300 # seconds; 120 is short where the machines compile their first step
    # A collective that does not end is given up before the process group does so (300 s), or CANN's own report of it is lost.
    # Multiples of 68 s; half an hour is HCCL's own default.
    npu_default HCCL_EXEC_TIMEOUT 272
}

# The devices' own logs: errors only, no events.
npu_quiet_devices() {
    command -v msnpureport >/dev/null || return 0
    local card
    for card in 0 1 2 3 4 5 6 7; do
        msnpureport -g error -d "$card" >/dev/null 2>&1 || true # a card that is not there
    done
    msnpureport -e disable >/dev/null 2>&1 || true
}

npu_environment() {
    local script='' strict="$-"
    if [[ -z "${ASCEND_TOOLKIT_HOME:-}" ]]; then
        script="$(npu_set_env)" || return 0
        set +eu # set_env.sh reads variables that are not set
        # shellcheck disable=SC1090
        source "$script"
        [[ "$strict" != *e* ]] || set -e
        [[ "$strict" != *u* ]] || set -u
    fi
    npu_defaults
    npu_quiet_devices
}

npu_environment
