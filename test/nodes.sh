# shellcheck shell=bash
# What several machines need beside training.sh: checked addresses, and the interface that the processes talk over.

nnodes=1 node_rank=0 local_addr=127.0.0.1 master_addr=127.0.0.1 master_port=23333

# Checks the flags; `node` is set on all machines but the first.
check_nodes() {
    local name address='^[0-9A-Za-z][0-9A-Za-z.:_-]*$'
    for name in nnodes cards master_port; do check_count "$name"; done
    [[ "$node_rank" =~ ^(0|[1-9][0-9]{0,8})$ && "$node_rank" -lt "$nnodes" ]] ||
        fail "--node_rank must be a whole number from 0 to $((nnodes - 1)) (--nnodes less 1), got '$node_rank'"
    [[ "$master_port" -lt 65536 ]] || fail "--master_port must be below 65536, got $master_port"
    [[ "$master_addr" =~ $address ]] || fail "--master_addr must be an address or the name of a machine, got '$master_addr'"
    [[ "$local_addr" =~ ^[0-9A-Fa-f.:]+$ ]] || fail "--local_addr must be an address of this machine, got '$local_addr'"
    if [[ "$nnodes" -gt 1 ]] && is_loopback "$local_addr" && ! is_loopback "$master_addr"; then
        fail "--local_addr=$local_addr is not reached from other machines; give this machine's address in the network of" \
            "$master_addr"
    fi
    # shellcheck disable=SC2034
    [[ "$node_rank" -eq 0 ]] || node="$node_rank"
}

is_loopback() { [[ "$1" == 127.* || "$1" == ::1 || "$1" == localhost ]]; }

# Gloo and nccl are told an interface, HCCL an address; what the user has set is kept.
use_local_address() {
    [[ "$nnodes" -gt 1 ]] || return 0
    export HCCL_IF_IP="${HCCL_IF_IP:-$local_addr}"
    local interface
    if ! command -v ip >/dev/null; then
        [[ -n "${GLOO_SOCKET_IFNAME:-}" ]] ||
            echo "no command 'ip' that finds the interface of $local_addr: set GLOO_SOCKET_IFNAME if processes do not meet" >&2
        return
    fi
    interface="$(ip -o addr show to "$local_addr" 2>/dev/null | awk 'NR == 1 { print $2 }')"
    [[ -n "$interface" ]] || fail "--local_addr=$local_addr: no interface of this machine has this address"
    export GLOO_SOCKET_IFNAME="${GLOO_SOCKET_IFNAME:-$interface}" NCCL_SOCKET_IFNAME="${NCCL_SOCKET_IFNAME:-$interface}"
}
