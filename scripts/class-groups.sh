#!/bin/bash
# A data set of folders by class as N tasks of equally many classes, in the order of their names: links to their folders.
#   scripts/class-groups.sh FROM OUTDIR N
# makes OUTDIR/01/train/CLASS -> FROM/train/CLASS and so on, of each split that is there. Exit codes: 2 usage, 3 no classes there,
# or a number of classes that N does not divide.
set -euo pipefail
if [ $# != 3 ] || ! [ "$3" -ge 1 ] 2>/dev/null; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if [ ! -d "$1/train" ]; then
    echo "class-groups: $1/train is not there; expected $1/train/CLASS/picture" >&2
    exit 3
fi
from=$(cd "$1" && pwd)
mapfile -t classes < <(find -L "$from/train" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | LC_ALL=C sort)
if [ ${#classes[@]} = 0 ] || [ $((${#classes[@]} % $3)) != 0 ]; then
    echo "class-groups: $1/train has ${#classes[@]} classes, which are no $3 groups of equally many" >&2
    exit 3
fi
each=$((${#classes[@]} / $3))
for i in "${!classes[@]}"; do
    group=$(printf '%s/%02d' "$2" $((i / each + 1)))
    for split in train val test; do
        [ -d "$from/$split/${classes[i]}" ] || continue
        mkdir -p "$group/$split"
        ln -sfn "$from/$split/${classes[i]}" "$group/$split/${classes[i]}"
    done
done
