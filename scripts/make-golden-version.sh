#!/usr/bin/env bash
# What this version writes, kept for those that come: a run of a small model that was ended after two of four steps (its
# checkpoint), one that came to its end (its adapter), and the cache of decompositions that both used. Argument: the
# build folder. Writes tests/golden/versions/VERSION, which tests/golden/test_versions.c reads with today's program; made
# once a version, when it is published.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 BUILD" >&2; exit 2; }
program=$(cd "$1" && pwd)/lora-ft
golden=$(cd "$(dirname "$0")/../tests/golden" && pwd)
version=$("$program" version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p data/a data/b
for i in 0 1 2 3; do
  for class in a b; do
    { printf 'P6\n8 8\n255\n'; head -c 192 /dev/zero | tr '\0' "$([ $class = a ] && echo "$i" || printf 'xyzw' | cut -c$((i + 1)))"; } > data/$class/$i.ppm
  done
done
cp -r "$golden/vit-base" model
train() {
  "$program" train --model model --train_data data --r 1 --init_lora_weights intermediate --target_modules q_proj --layers_to_transform 0 \
    --per_device_train_batch_size 4 --learning_rate 1e-2 --max_steps 4 --save_strategy steps --save_steps 2 --threads 1 \
    --decomposition_cache cache --output_dir "$1" "${@:2}"
}
OMP_NUM_THREADS=1 train done
OMP_NUM_THREADS=1 train begun
rm -rf begun/checkpoint-4 begun/adapter begun/all_results.json begun/report.html begun/curves.* begun/training.* begun/confusion.* begun/checked_images
to=$golden/versions/$version
rm -rf "$to"
mkdir -p "$to"
cp -r data begun cache "$to"
cp -r done/adapter "$to/adapter"
du -sb "$to"
