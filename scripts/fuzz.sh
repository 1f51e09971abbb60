#!/usr/bin/env bash
# Looks for inputs that a reader cannot stand: builds the libFuzzer targets with clang and runs each for its share of the
# minutes (60). What reaches new code is kept in build-fuzz/corpus, and the next night begins there.
#   scripts/fuzz.sh [--minutes N]
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=60
case "${1:-}" in
"") ;;
--minutes) minutes=${2:?minutes} ;;
*) echo "scripts/fuzz.sh: unexpected '$1'; it takes --minutes N" >&2 && exit 2 ;;
esac
cmake -S . -B build-fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DLF_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
cmake --build build-fuzz
targets=$(find tests/fuzz -name 'fuzz_*.c' | wc -l)
status=0
tests/fuzz/run.sh build-fuzz $((minutes * 60 / targets)) || status=$?
python3 tests/fuzz/figures.py build-fuzz
exit $status
