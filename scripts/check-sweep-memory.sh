#!/usr/bin/env bash
# What several runs of a sweep on one model take together: check-sweep-memory.sh MODEL TEXT.jsonl [--KEY VALUE]...
# A sweep of two learning rates, first one at a time and then both at once, each to its second step; the proportional set sizes of
# the runs (what they share counts once) are added. Fails where two take 1.3 times as much as one, or more.
#   LORA_FT=build/lora-ft
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
program=${LORA_FT:-$(dirname "$0")/../build/lora-ft} model=$1 text=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo '{"sweep": {"learning_rate": [1e-4, 2e-4]}}' >"$folder/rates.json"

# The least number of steps that a run has done; 0 until all have begun.
steps() {
    local files=("$folder/$1"/runs/*/metrics.jsonl)
    [ "${#files[@]}" -eq "$1" ] && [ -f "${files[0]}" ] || { echo 0; return; }
    wc -l "${files[@]}" | awk '$2 != "total" && (!seen++ || $1 < least) { least = $1 } END { print least }'
}
pss_of_children() {
    local sum=0 child
    for child in $(pgrep -P "$1"); do sum=$((sum + $(awk '/^Pss:/ { print $2 }' "/proc/$child/smaps_rollup"))); done
    echo "$sum"
}
measured() { # JOBS: kilobytes at the second step
    "$program" sweep --config "$folder/rates.json" --model "$model" --train_data "$text" --r 16 --lora_alpha 16 --target_modules all-linear \
        --packing true --max_seq_length 256 --per_device_train_batch_size 1 --precision bf16 --max_steps 100 --logging_steps 1 \
        --eval_strategy no --save_strategy no --output_dir "$folder/$1" --jobs "$1" --threads "$1" "${@:2}" >"$folder/log" 2>&1 &
    local sweep=$!
    # shellcheck disable=SC2064 # this one, in the subshell of $(measured)
    trap "kill $sweep 2>/dev/null || true" EXIT
    while kill -0 "$sweep" 2>/dev/null && [ "$(steps "$1")" -lt 2 ]; do sleep 1; done
    kill -0 "$sweep" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
    pss_of_children "$sweep"
    kill -TERM "$sweep" && sleep 1
    kill -TERM "$sweep" 2>/dev/null || true
    wait "$sweep" || true
}
one=$(measured 1 "$@")
two=$(measured 2 "$@")
awk -v one="$one" -v two="$two" 'BEGIN { printf "one run %.0f MB, two together %.0f MB: %.2f times\n", one / 1024, two / 1024, two / one; exit two >= 1.3 * one }'
