# shellcheck shell=bash
# Run a command with its output on the screen and in a log, pass signals on to it, and end with its status.

SIGNALS='INT TERM HUP QUIT USR1 USR2'
running='' received=''

pass_on() {
    received="$1"
    [[ -z "$running" ]] || kill -s "$1" "$running" 2>/dev/null || true
}

# run_logged LOG COMMAND...: run it with its output on the screen and in the log; sets `status` and `seconds`. A signal to this
# script goes on to the command, which may have something to save: the script waits for it.
run_logged() {
    local log="$1" pipe writer name begin with_us=()
    shift
    for name in $SIGNALS; do
        # shellcheck disable=SC2064
        trap "pass_on $name" "$name"
    done
    if command -v setpriv >/dev/null && setpriv --pdeathsig TERM true 2>/dev/null; then
        with_us=(setpriv --pdeathsig TERM --) # also when this script is killed outright
    fi
    begin="$(date +%s)"
    { pipe="$(mktemp -d)" && mkfifo "$pipe/output"; } || fail 'cannot make a pipe in the folder for temporary files'
    exec 3<>"$pipe/output" # opens at once; a pipe with one end waits for the other
    exec 4<"$pipe/output"
    exec 5>"$pipe/output" 3>&-
    rm -r -- "$pipe"
    (trap '' INT TERM HUP QUIT USR1 USR2 PIPE && exec tee "$log") <&4 4<&- 5>&- &
    writer="$!"
    set -m # a process group of its own: without, it would be deaf to interrupts, and Ctrl-C would reach it twice
    "${with_us[@]+"${with_us[@]}"}" "$@" </dev/null >&5 2>&1 4<&- 5>&- &
    running="$!"
    set +m
    exec 4<&- 5>&-
    [[ -z "$received" ]] || pass_on "$received"
    wait_for "$running"
    running=''
    # shellcheck disable=SC2034
    seconds="$(($(date +%s) - begin))"
    finish_log "$writer" "$log"
    for name in $SIGNALS; do trap - "$name"; done
}

# wait_for PROCESS: until it has ended, whatever signals come; sets `status`.
wait_for() {
    local code
    status=''
    while :; do
        received='' code=0
        wait "$1" 2>/dev/null || code="$?"
        [[ "$code" -eq 127 && -n "$status" ]] || status="$code" # 127: it was waited for already, when a signal came
        [[ -n "$received" ]] || return 0
    done
}

# finish_log WRITER LOG: all that was written is in the log. A process that outlived the command and holds the pipe is not
# waited for.
finish_log() {
    local tries=100
    while kill -0 "$1" 2>/dev/null && ((tries-- > 0)); do sleep 0.1; done
    if kill -KILL "$1" 2>/dev/null; then
        echo "$(basename "$0"): something that was started still holds the output; it is no longer logged" >&2
    elif ! wait "$1"; then
        echo "$(basename "$0"): $2 is not complete" >&2
        [[ "$status" -ne 0 ]] || status=1
    fi
}

# end_if_failed WHAT LOG: a command that failed ends the script with its status, and without results.
end_if_failed() {
    local name reason="the reason is above and in $2"
    name="$(basename "$0")"
    [[ "$status" -ne 0 ]] || return 0
    if [[ "$status" -eq 75 ]]; then
        reason='it was stopped before its end, and can go on'
    elif [[ "$status" -gt 128 ]]; then
        reason="signal $((status - 128)), see also $2"
    fi
    echo "$name: $1 ended with exit status $status: $reason" >&2
    exit "$status"
}
