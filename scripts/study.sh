#!/usr/bin/env bash
# The study of docs/study.md, part by part: each a sweep of configs/study/PART.json over what its kind has in common
# (configs/study/vision.json, ...), and a table of all its runs, docs/study/PART.csv, from which the page's figures are made.
#
#   scripts/study.sh PART...        a part that was stopped goes on where it was; one that is whole writes its table again
#   scripts/study.sh                says which parts there are, and how many runs of each are done
#
#   LORA_FT=build/lora-ft LF_LETTERS=build/lf-letters JOBS=2 THREADS=2 NICE=0; a job has THREADS / JOBS threads
set -euo pipefail
cd "$(dirname "$0")/.."
program=${LORA_FT:-build/lora-ft} study=runs/study jobs=${JOBS:-2} threads=${THREADS:-2}

parts() {
    local file
    for file in configs/study/*-*.json; do
        local part
        part=$(basename "$file" .json)
        [ -f "configs/study/${part%%-*}.json" ] && echo "$part"
    done
}

data_of_vision() {
    [ -d "$study/letters" ] || LF_LETTERS=${LF_LETTERS:-build/lf-letters} scripts/make-letters.sh "$study/letters" 1 \
        --train-per-class 300 --val-per-class 60 --test-per-class 100
}
data_of_sequence() {
    data_of_vision
    [ -d "$study/groups" ] || scripts/letter-groups.sh "$study/letters" "$study/groups"
}
data_of_language() { [ -d "$study/texts" ] || scripts/make-texts.sh "$study/texts"; }
data_of_text() {
    [ -d "$study/short" ] || scripts/make-study-texts.py "$study/short"
    [ -d "$study/minilm" ] || {
        echo "study: $study/minilm is not there; scripts/minilm-from-pypi.py makes it" >&2
        return 3
    }
}

keep_table() {
    mkdir -p docs/study
    cp "$study/$1/results.csv" "docs/study/$1.csv.tmp"
    mv "docs/study/$1.csv.tmp" "docs/study/$1.csv"
}

run_part() {
    local part=$1 kind=${1%%-*}
    if [ ! -f "configs/study/$part.json" ] || [ ! -f "configs/study/$kind.json" ]; then
        echo "study: there is no part '$part'; there are: $(parts | tr '\n' ' ')" >&2
        return 2
    fi
    "data_of_$kind"
    nice -n "${NICE:-0}" "$program" sweep --config "configs/study/$kind.json" --config "configs/study/$part.json" \
        --output_dir "$study/$part" --jobs "$jobs" --threads "$threads"
    keep_table "$part"
}

if [ $# -eq 0 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    for part in $(parts); do
        printf '%-24s %s runs done\n' "$part" "$(find "$study/$part/runs" -name all_results.json 2>/dev/null | wc -l)"
    done
    exit 0
fi
for part in "$@"; do run_part "$part"; done
