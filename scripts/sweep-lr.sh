#!/usr/bin/env bash
# A sweep as a plain shell loop, for those who like it so or whose runs go to several machines: a run for each learning rate and
# seed, then their tables and pictures. `lora-ft sweep` does the same with several at a time and an end in sight.
#   scripts/sweep-lr.sh CONFIG OUTDIR [RATE...]       SEEDS="1 2 3" and LORA_FT=build/lora-ft are taken from the environment
# Runs that are finished are not run again; one that fails or diverges is said and the loop goes on.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
config=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- 1e-4 3e-4 1e-3 3e-3 1e-2
program=${LORA_FT:-build/lora-ft}
failed=0
for rate in "$@"; do
    for seed in ${SEEDS:-1 2 3}; do
        run=$out/lr-$rate,seed-$seed
        echo "== $run" >&2
        "$program" train --config "$config" --learning_rate "$rate" --seed "$seed" --output_dir "$run" --overwrite_output_dir false \
            --resume_from_checkpoint true --decomposition_cache "$out/cache/decompositions" --base_cache "$out/cache/base" >/dev/null || failed=$((failed + 1))
    done
done
[ "$failed" -eq 0 ] || echo "$failed runs did not end well; the report says which" >&2
"$program" report "$out"
