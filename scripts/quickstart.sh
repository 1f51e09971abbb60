#!/usr/bin/env bash
# Installs what is needed, builds, makes the data, and runs the main job end to end: a ViT pretrained on clothes learns
# letters, and the table says what it learned and what it forgot. Can be run again safely.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
. scripts/packages.sh
# shellcheck disable=SC2086
need_packages $build_packages $run_packages

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF >build.log 2>&1 || { cat build.log >&2; exit 1; }
cmake --build "$build" >build.log 2>&1 || { cat build.log >&2; exit 1; }
rm -f build.log

# 300, 30 and 60 pictures of each letter; the val and test fonts are of families that train does not have
[ -d runs/letters ] || LF_LETTERS=$build/lf-letters scripts/make-letters.sh runs/letters 1 --train-per-class 300 --val-per-class 30 --test-per-class 60
"$build/lora-ft" train --config configs/quickstart.json
