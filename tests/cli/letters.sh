#!/bin/bash
# lf-letters from outside: what it writes, that a seed fixes the bytes, and what it says of bad fonts and options.
# usage: letters.sh PROGRAM. Exit 77 (skipped) where fewer than three usable fonts are installed.
set -u
letters=$1
root=${FONT_ROOT:-/usr/share/fonts}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}
# expect CODE TEXT ARGS...: the exit code, and one line on stderr that holds TEXT; an empty TEXT: not a word.
expect() {
    local code=$1 text=$2 got
    shift 2
    "$letters" "$@" >"$tmp/stdout" 2>"$tmp/stderr"
    got=$?
    [ $got = "$code" ] || fail "exit code $got, expected $code: $* ($(head -c 300 "$tmp/stderr"))"
    if [ -z "$text" ]; then [ ! -s "$tmp/stderr" ] || fail "said '$(head -c 300 "$tmp/stderr")': $*"; return; fi
    grep -qF -- "$text" "$tmp/stderr" || fail "no '$text' in '$(head -c 300 "$tmp/stderr")': $*"
    [ "$code" = 0 ] || [ "$(wc -l <"$tmp/stderr")" = 1 ] || fail "more than one line: $*"
}
same() { diff -r "$1" "$2" >/dev/null 2>&1; }

# Three different fonts with all letters in both cases.
fonts=()
while IFS= read -r f && [ ${#fonts[@]} -lt 3 ]; do
    for known in ${fonts[@]+"${fonts[@]}"}; do cmp -s "$f" "$known" && continue 2; done
    if "$letters" --out "$tmp/probe" --case both --train-fonts "$f" --train-per-class 1 --val-per-class 0 \
        --test-per-class 0 >/dev/null 2>&1; then fonts+=("$f"); fi
done < <(find "$root" -name '*.ttf' ! -name '*,*' 2>/dev/null | sort)
if [ ${#fonts[@]} -lt 3 ]; then
    echo "SKIPPED: three TrueType fonts with all letters are needed under $root, found ${#fonts[@]};" \
        "apt-get install fonts-dejavu-core"
    exit 77
fi
few=(--train-per-class 4 --val-per-class 2 --test-per-class 3)
use=(--train-fonts "${fonts[0]}" --val-fonts "${fonts[1]}" --test-fonts "${fonts[2]}")
train_only=(--train-per-class 2 --val-per-class 0 --test-per-class 0)

# What is written.
expect 0 "" --out "$tmp/a" --seed 7 "${few[@]}" "${use[@]}"
[ "$(cd "$tmp/a" && ls | tr '\n' ' ')" = "letters.txt test train val " ] || fail "top level: $(ls "$tmp/a")"
for split in train:4 val:2 test:3; do
    folder=$tmp/a/${split%:*}
    [ "$(ls "$folder" | tr -d '\n')" = ABCDEFGHIJKLMNOPQRSTUVWXYZ ] || fail "classes of $folder"
    [ "$(find "$folder" -name '[0-9][0-9][0-9][0-9].png' | wc -l)" = $((26 * ${split#*:})) ] || fail "count in $folder"
done
# PNG: width and height are big-endian words at 16 and 20, then 8 bits, colour type 0 (grey).
header() { od -An -tx1 -j16 -N10 "$1" | tr -d ' \n'; }
[ "$(header "$tmp/a/val/Q/0001.png")" = 0000001c0000001c0800 ] || fail "PNG header: $(header "$tmp/a/val/Q/0001.png")"
[ "$(find "$tmp/a" -name '*.png' -exec cksum {} + | cut -d' ' -f1 | sort -u | wc -l)" = $((26 * 9)) ] || fail "two pictures are the same"

# A function of seed, split, class and index, of nothing else.
expect 0 "" --out "$tmp/b" --seed=7 "${few[@]}" "${use[@]}"
same "$tmp/a" "$tmp/b" || fail "the same seed gives other bytes"
expect 0 "" --out "$tmp/b/" --seed 7 --train-per-class 6 --val-per-class 0 --test-per-class 0 "${use[@]}"
cmp -s "$tmp/a/train/K/0003.png" "$tmp/b/train/K/0003.png" || fail "a picture depends on how many are made"
[ ! -e "$tmp/b/val" ] || fail "the earlier folder was not replaced"
expect 0 "" --out "$tmp/b" --seed 8 "${few[@]}" "${use[@]}"
cmp -s "$tmp/a/train/K/0003.png" "$tmp/b/train/K/0003.png" && fail "another seed gives the same picture"
mkdir "$tmp/moved" && cp "${fonts[@]:0:3}" "$tmp/moved"
printf '# one font\n%s \n\n' "${fonts[0]}" >"$tmp/list.txt"
expect 0 "" --out "$tmp/c" --seed 7 "${few[@]}" --train-fonts "$tmp/list.txt" \
    --val-fonts "$tmp/moved/$(basename "${fonts[1]}")" --test-fonts "${fonts[2]}"
same "$tmp/a" "$tmp/c" || fail "a list, or fonts in another folder, give other bytes"
expect 0 "" --out "$tmp/d" --seed 7 --size 40 --case lower "${train_only[@]}" "${use[@]}"
[ "$(header "$tmp/d/train/B/0000.png")" = 00000028000000280800 ] || fail "--size 40: $(header "$tmp/d/train/B/0000.png")"

# The list for apt-get is that of the table, and no package serves two splits.
scripts=$(cd "$(dirname "$0")/../../scripts" && pwd)
table() { awk '!/^#/ && NF { print '"$1"' }' "$scripts/letters-fonts.txt" | sort -u; }
[ "$(table '$2')" = "$(sort "$scripts/packages-fonts.txt")" ] || fail "packages-fonts.txt is not the second column of letters-fonts.txt"
[ "$(table '$1, $2' | wc -l)" = "$(table '$2' | wc -l)" ] || fail "a package of letters-fonts.txt serves two splits"

# Splits share no font; what we did not make stays.
expect 2 "is the same font as" --out "$tmp/e" "${use[@]}" --test-fonts "$tmp/moved/$(basename "${fonts[0]}")"
mkdir "$tmp/mine" && touch "$tmp/mine/thesis.tex"
expect 2 "was not made by lf-letters" --out "$tmp/mine" "${few[@]}" "${use[@]}"
[ -e "$tmp/mine/thesis.tex" ] || fail "a foreign folder was replaced"
cp -r "$tmp/mine" "$tmp/e.tmp"
expect 2 "was not made by lf-letters" --out "$tmp/e" "${few[@]}" "${use[@]}"
[ -e "$tmp/e.tmp/thesis.tex" ] || fail "a foreign temporary folder was removed"
rm -r "$tmp/e.tmp"
expect 2 "is a file" --out "$tmp/list.txt" "${few[@]}" "${use[@]}"

# Damaged and unfit fonts.
size=$(stat -c %s "${fonts[0]}")
bad=$tmp/bad.ttf
one=(--out "$tmp/e" "${train_only[@]}" --train-fonts "$bad")
head -c $((size * 2 / 3)) "${fonts[0]}" >"$bad"
expect 3 "bad.ttf: table '" "${one[@]}"
head -c 40 "${fonts[0]}" >"$bad"
expect 3 "bad.ttf: the table directory needs" "${one[@]}"
head -c 5 "${fonts[0]}" >"$bad"
expect 3 "bad.ttf: 5 bytes are too few" "${one[@]}"
: >"$bad"
expect 3 "bad.ttf: 0 bytes are too few" "${one[@]}"
echo "this is a text and no font" >"$bad"
expect 3 "bad.ttf: expected a TrueType font" "${one[@]}"
# One byte in the middle of the outlines: only the checksum can tell. The directory has 16 bytes a table: tag, sum,
# offset, length.
word() { od -An -tu1 -j"$1" -N4 "${fonts[0]}" | awk '{ printf "%d", (($1 * 256 + $2) * 256 + $3) * 256 + $4 }'; }
entry=$(head -c 1024 "${fonts[0]}" | grep -abo glyf | head -1 | cut -d: -f1)
middle=$(($(word $((entry + 8))) + $(word $((entry + 12))) / 2))
old=$(od -An -tu1 -j$middle -N1 "${fonts[0]}")
cp "${fonts[0]}" "$bad" && chmod u+w "$bad"
printf "\\x$(printf %02x $(((old + 1) % 256)))" | dd of="$bad" bs=1 seek=$middle conv=notrunc status=none
expect 3 "bad.ttf: table 'glyf': expected checksum" "${one[@]}"
# An offset that would reach past the end of 32 bits.
cp "${fonts[0]}" "$bad"
printf '\xff\xff\xff\xff' | dd of="$bad" bs=1 seek=$((entry + 8)) conv=notrunc status=none
expect 3 "ends behind the file" "${one[@]}"
mkdir "$tmp/otf" && printf 'OTTO\0\0\0\0\0\0\0\0\0\0\0\0' >"$tmp/otf/x.ttf"
"$letters" --out "$tmp/e" "${train_only[@]}" --train-fonts "$tmp/otf" 2>"$tmp/stderr"
[ $? = 3 ] || fail "only a CFF font: exit code"
grep -q "x.ttf: left out of train: its outlines are CFF" "$tmp/stderr" || fail "a CFF font is not reported"
grep -q "expected at least one TrueType font with all letters, found none" "$tmp/stderr" || fail "no font left: message"
expect 0 "x.ttf: left out of train" --out "$tmp/f" "${train_only[@]}" --train-fonts "$tmp/otf,${fonts[0]}"
expect 3 "nowhere.ttf" --out "$tmp/e" "${train_only[@]}" --train-fonts "$tmp/nowhere.ttf"
mkdir "$tmp/empty"
expect 3 "found none" --out "$tmp/e" "${train_only[@]}" --train-fonts "$tmp/empty"

# Options.
expect 2 "--out is missing" "${use[@]}"
expect 2 "--test-fonts is missing" --out "$tmp/e" --train-fonts "${fonts[0]}" --val-fonts "${fonts[1]}"
expect 2 "--size: expected an integer in [8, 512], got '7'" --out "$tmp/e" --size 7 "${use[@]}"
expect 2 "--seed: expected an integer" --out "$tmp/e" --seed -1 "${use[@]}"
expect 2 "--seed: expected an integer" --out "$tmp/e" --seed 99999999999999999999 "${use[@]}"
expect 2 "--case: expected upper, lower or both, got 'Both'" --out "$tmp/e" --case Both "${use[@]}"
expect 2 "unknown option '--sead'" --out "$tmp/e" --sead 1 "${use[@]}"
expect 2 "--seed: its value is missing" --out "$tmp/e" "${use[@]}" --seed
expect 2 "are all 0" --out "$tmp/e" --train-per-class 0 --val-per-class 0 --test-per-class 0
[ ! -e "$tmp/e" ] && [ ! -e "$tmp/e.tmp" ] || fail "a failed run left a folder"
"$letters" --help | grep -q -- "--train-per-class" || fail "--help"

[ $failures = 0 ] && echo "letters: all checks passed with ${fonts[*]}"
exit $((failures > 0))
