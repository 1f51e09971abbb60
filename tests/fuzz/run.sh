#!/usr/bin/env bash
# Runs each target of a build with LF_FUZZ from its seeds, and fails where one crashes. Arguments: the build folder, seconds
# for each target (0: the seeds alone), and perhaps which targets. A target ends before its time after LF_FUZZ_RUNS
# executions (2000000). What a longer run finds is kept in BUILD/corpus; an input that crashed stays in BUILD/crashes. BUILD/NAME.log
# has the time in front of each line; figures.py makes a table of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 seconds=$2
shift 2
mkdir -p "$build/crashes"
tmp=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo /tmp)" lora-ft-fuzz-XXXXXX)
trap 'rm -rf "$tmp"' EXIT
hang=120 # seconds for one input: no picture or text of 4000 bytes takes one, so a busy machine has room
status=0 n=0
names=("$@")
[ $# -gt 0 ] || for source in tests/fuzz/fuzz_*.c; do names+=("$(basename "$source" .c)"); done
for name in "${names[@]}"; do
    seeds=$build/seeds/$name corpus=$build/corpus/$name
    rm -rf "$seeds"
    mkdir -p "$seeds" "$corpus"
    python3 tests/fuzz/seeds.py "$name" "$seeds"
    largest=$(find "$seeds" -type f -printf '%s\n' | sort -n | tail -1)
    echo "$name: $(find "$seeds" -type f | wc -l) seeds, $seconds s"
    length=(-max_total_time="$seconds" -runs="${LF_FUZZ_RUNS:-2000000}")
    [ "$seconds" -gt 0 ] || length=(-runs=0)
    if ! TMPDIR=$tmp OMP_NUM_THREADS=1 ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 "$build/tests/fuzz/$name" "${length[@]}" \
        -max_len=$((largest > 4000 ? largest : 4000)) -timeout=$hang -rss_limit_mb=2000 -print_final_stats=1 \
        -artifact_prefix="$build/crashes/$name-" "$corpus" "$seeds" 2>&1 |
        python3 -uc 'import sys, time
for line in sys.stdin.buffer: sys.stdout.buffer.write(b"%.0f " % time.time() + line); sys.stdout.flush()' >"$build/$name.log"; then
        tail -40 "$build/$name.log"
        echo "$name: crashed; the input is in $build/crashes"
        status=1
    fi
    grep -E "stat::number_of_executed_units" "$build/$name.log" || { echo "$name: ran nothing" && status=1; }
    n=$((n + 1))
done
[ $# -gt 0 ] || [ "$n" -ge 19 ] || { echo "only $n fuzz targets were found" && status=1; }
exit $status
