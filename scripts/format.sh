#!/usr/bin/env bash
# Formats the C sources as .clang-format says; --check only says which ones differ, and fails if any does, or if
# tests/gates/words.py finds a line that is too long. (unicode.def is made by a program.)
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files '*.c' '*.h' '*.def' | grep -v '^src/text/unicode.def$')
if [ "${1-}" != --check ]; then
    clang-format -i "${files[@]}"
    exit
fi
status=0
for file in "${files[@]}"; do
    clang-format "$file" | cmp -s "$file" - || { echo "$file is not formatted; run scripts/format.sh" && status=1; }
done
python3 tests/gates/words.py . || status=1
exit $status
