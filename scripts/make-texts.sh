#!/bin/bash
# Makes the texts of the language model's example from what Debian packages:
#   scripts/make-texts.sh OUTDIR
# OUTDIR/verses/{train,heldout}.jsonl     the King James Bible (package bible-kjv-text), a chapter a line; every 20th is held out
# OUTDIR/licences/{train,val,test}.jsonl  free-software licences (/usr/share/common-licenses), pieces of about 1,200 characters;
#                                         val is MPL-2.0, test is Apache-2.0, train has neither
# Installs nothing. Exit codes: 2 usage, 3 a text is missing.
set -euo pipefail
if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
out=$1
if ! command -v bible >/dev/null; then
    echo "make-texts: the program 'bible' is not there; run: apt-get install bible-kjv bible-kjv-text" >&2
    exit 3
fi
mkdir -p "$out/verses.new" "$out/licences.new"

# A chapter begins with a line "Book N" and has its verses indented, each behind its number.
bible -l1000000 'Gen1:1-Rev22:21' | awk -v dir="$out/verses.new" '
    function quoted(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/\t/, " ", s); return s }
    function flush() {
        if (text == "") return
        print "{\"text\": \"" quoted(title "\\n") text "\"}" > (dir (++n % 20 == 0 ? "/heldout.jsonl" : "/train.jsonl"))
        text = ""
    }
    /^[^ ].* [0-9]+$/ { flush(); title = $0; next }
    /^ +[0-9]+ / { sub(/^ +[0-9]+ /, ""); text = text quoted($0) "\\n" }
    END { flush() }' | cat
sed -i 's/\\\\n/\\n/' "$out"/verses.new/*.jsonl

# Paragraphs, put together until there are 1,200 characters.
pieces() {
    for name in "$@"; do
        if [ ! -r "/usr/share/common-licenses/$name" ]; then
            echo "make-texts: /usr/share/common-licenses/$name is missing" >&2
            exit 3
        fi
        awk '
            function flush() { if (text != "") print "{\"text\": \"" text "\"}"; text = "" }
            BEGIN { RS = "" }
            { gsub(/[ \t\f]*\n[ \t\f]*/, " "); gsub(/^[ \f]+/, ""); gsub(/[[:cntrl:]]/, ""); gsub(/\\/, "\\\\"); gsub(/"/, "\\\"")
              text = text $0 "\\n"; if (length(text) >= 1200) flush() }
            END { flush() }' "/usr/share/common-licenses/$name"
    done
}
pieces GPL-1 GPL-2 GPL-3 LGPL-2 LGPL-2.1 LGPL-3 GFDL-1.2 GFDL-1.3 MPL-1.1 Artistic BSD CC0-1.0 >"$out/licences.new/train.jsonl"
pieces MPL-2.0 >"$out/licences.new/val.jsonl"
pieces Apache-2.0 >"$out/licences.new/test.jsonl"

for set in verses licences; do # whole or not at all
    rm -rf "${out:?}/$set"
    mv "$out/$set.new" "$out/$set"
done
