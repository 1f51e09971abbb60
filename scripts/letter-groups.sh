#!/bin/bash
# The letters of scripts/make-letters.sh as five tasks of five or six letters each: links to their folders.
#   scripts/letter-groups.sh LETTERS OUTDIR
# makes OUTDIR/1-ABCDEF/train/A -> LETTERS/train/A and so on. Exit codes: 2 usage, 3 no letters there.
set -euo pipefail
if [ $# != 2 ]; then
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if [ ! -d "$1/train/A" ]; then
    echo "letter-groups: $1/train/A is not there; make the letters by scripts/make-letters.sh" >&2
    exit 3
fi
letters=$(cd "$1" && pwd)
number=0
for group in ABCDEF GHIJK LMNOP QRSTU VWXYZ; do
    number=$((number + 1))
    for split in train val test; do
        [ -d "$letters/$split/A" ] || continue
        mkdir -p "$2/$number-$group/$split"
        for letter in $(echo "$group" | fold -w1); do ln -sfn "$letters/$split/$letter" "$2/$number-$group/$split/$letter"; done
    done
done
