#!/bin/sh
# Gives a target's seeds to it in a plain build. Arguments: the replaying program, the target's name, a folder for the seeds.
set -eu
here=$(dirname "$0")
rm -rf "$3"
mkdir -p "$3"
python3 "$here/seeds.py" "$2" "$3"
ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}allocator_may_return_null=1" exec "$1" "$3"
