#!/usr/bin/env bash
# Runs each target of a build with LF_FUZZ from its seeds, and fails where one crashes. Arguments: the build folder, seconds
# for each target (0: the seeds alone). What a longer run finds is kept in BUILD/corpus; an input that crashed stays in BUILD/crashes.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 seconds=$2
mkdir -p "$build/crashes"
hang=120 # seconds for one input: no picture or text of 4000 bytes takes one, so a busy machine has room
length=-max_total_time=$seconds
[ "$seconds" -gt 0 ] || length=-runs=0
n=0 status=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    seeds=$build/seeds/$name corpus=$build/corpus/$name
    mkdir -p "$seeds" "$corpus"
    python3 tests/fuzz/seeds.py "$name" "$seeds"
    echo "$name: $(find "$seeds" -type f | wc -l) seeds, $seconds s"
    if ! ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 "$build/tests/fuzz/$name" "$length" \
        -max_len=4000 -timeout=$hang -rss_limit_mb=2000 -print_final_stats=1 -artifact_prefix="$build/crashes/$name-" \
        "$corpus" "$seeds" >"$build/$name.log" 2>&1; then
        tail -40 "$build/$name.log"
        echo "$name: crashed; the input is in $build/crashes"
        status=1
    fi
    grep -E "stat::number_of_executed_units" "$build/$name.log" || { echo "$name: ran nothing" && status=1; }
    n=$((n + 1))
done
[ "$n" -ge 5 ] || { echo "only $n fuzz targets were found" && status=1; }
exit $status
