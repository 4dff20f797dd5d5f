# shellcheck shell=bash
# What the training scripts share: flags, and the block of results at the end. They set PYTHON before they use it.

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# What a run writes is its user's to change and the group's to read (640; folders 750), as mmcv_need/file_modes.py has it: SSD_UMASK
# is taken as it is, else the umask is tightened. A Python environment, which others may use, is made under the user's own.
own_umask="$(umask)"
keep_private() {
    local mask="${SSD_UMASK:-}"
    [[ -z "$mask" || "$mask" =~ ^0?[0-7]{3}$ ]] || fail "SSD_UMASK must be three octal digits, such as 027 or 022, got '$mask'"
    umask "${mask:-$(printf '%03o' "$((8#$own_umask | 8#027))")}"
}
keep_private

# parse_flags 'NAME NAME ...' 'SWITCH ...' ARGS...: `--name=value` sets the variable `name`, `--switch` sets the variable
# `switch` to `yes`, for these names only.
parse_flags() {
    local known=" $1 " switches=" $2 " flag
    shift 2
    for flag in "$@"; do
        if [[ "$flag" =~ ^--([a-z_]+)$ && "$switches" == *" ${BASH_REMATCH[1]} "* ]]; then
            printf -v "${BASH_REMATCH[1]}" '%s' yes
            continue
        fi
        if [[ ! "$flag" =~ ^--([a-z_]+)(=|$) || "$known" != *" ${BASH_REMATCH[1]} "* ]]; then
            fail "unknown flag '$flag'; known, each as --name=value:${known% }; without a value:${switches% }"
        fi
        [[ "$flag" == --*=?* ]] || fail "'$flag' needs a value: --${BASH_REMATCH[1]}=VALUE"
        printf -v "${BASH_REMATCH[1]}" '%s' "${flag#*=}"
    done
}

# check_count NAME: the variable NAME must be a whole number of 1 or more.
check_count() {
    [[ "${!1}" =~ ^[1-9][0-9]{0,8}$ ]] || fail "--$1 must be a whole number of 1 or more, got '${!1}'"
}

# A path that the user gave relative to where they stand, as an absolute one.
absolute_path() {
    if [[ "$1" == /* ]]; then echo "$1"; else echo "$PWD/$1"; fi
}

# best_metric KEY LOG: the highest value of KEY among the evaluations in a .log.json.
best_metric() {
    "$PYTHON" - "$1" "$2" <<'END'
import json
import sys

key, log = sys.argv[1:]
with open(log, encoding='utf-8') as lines:
    records = [json.loads(line) for line in lines if line.strip()]
values = [record[key] for record in records if record.get('mode') == 'val' and key in record]
print(f'{max(values):.4f}' if values else f'none: the log holds no {key}')
END
}

# total_fps LOG CARDS BATCH: images per second over the whole of a .log.json.
total_fps() {
    "$PYTHON" calc_fps.py "$1" "$2" "$3" | sed -n 's|^# total images / total time: \([0-9.]*\) .*|\1|p'
}

# final_report FPS ACCURACY SECONDS; without FPS it is of an evaluation, and has only the last two lines.
final_report() {
    if [[ -n "$1" ]]; then
        echo '------------------ Final result ------------------'
        echo "Final Performance images/sec : $1"
    fi
    echo "Final Train Accuracy : $2"
    echo "E2E Training Duration sec : $3"
}
