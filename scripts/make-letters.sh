#!/bin/bash
# Makes the letters task: train, val and test pictures from font families that no other split has.
#   scripts/make-letters.sh OUTDIR [SEED] [further options of lf-letters]
# LF_LETTERS names the program (default build/lf-letters), FONT_ROOT where the fonts are (default /usr/share/fonts).
# Installs nothing. Exit codes: 2 usage, 3 fonts missing, else lf-letters'.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
table=$here/letters-fonts.txt
program=${LF_LETTERS:-$here/../build/lf-letters}
root=${FONT_ROOT:-/usr/share/fonts}

if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
out=$1
shift
seed=1
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    seed=$1
    shift
fi
if [ ! -x "$program" ]; then
    echo "make-letters: $program is not there; build it with cmake, or name it in LF_LETTERS" >&2
    exit 2
fi

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
missing=
while read -r split package patterns; do
    case $split in '' | '#'*) continue ;; esac
    set -f # the pattern as it stands, compgen expands it below the root
    for pattern in $patterns; do
        if ! compgen -G "$root/$pattern" >> "$lists/$split.txt"; then missing="$missing $package"; fi
    done
done < "$table"
if [ -n "$missing" ]; then
    echo "make-letters: fonts missing under $root; install them with" >&2
    echo "  apt-get install$(printf '%s\n' $missing | sort -u | tr '\n' ' ' | sed 's/^/ /;s/ $//')" >&2
    exit 3
fi
"$program" --out "$out" --seed "$seed" --train-fonts "$lists/train.txt" --val-fonts "$lists/val.txt" \
    --test-fonts "$lists/test.txt" "$@"
