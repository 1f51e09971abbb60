#!/bin/bash
# Makes the texts of the language model's example from what Debian packages:
#   scripts/make-texts.sh OUTDIR
# OUTDIR/verses/{train,heldout}.jsonl     the King James Bible (package bible-kjv-text), pieces of chapters; every 20th chapter is held out
# OUTDIR/licences/{train,val,test}.jsonl  free-software licences (/usr/share/common-licenses), pieces of about 500 characters;
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

# A chapter begins with a line "Book N" and has its verses indented, each behind its number. Pieces of about 700 characters, each
# with the chapter's name, fit into 256 tokens.
bible -l1000000 'Gen1:1-Rev22:21' | awk -v dir="$out/verses.new" '
    function flush() {
        if (text != "") print "{\"text\": \"" title "\\n" text "\"}" > (dir (chapter % 20 == 0 ? "/heldout.jsonl" : "/train.jsonl"))
        text = ""
    }
    /^[^ ].* [0-9]+$/ { flush(); title = $0; chapter++; next }
    /^ +[0-9]+ / {
        sub(/^ +[0-9]+ /, ""); gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, " ")
        if (length(text) + length($0) > 700) flush()
        text = text $0 "\\n"
    }
    END { flush() }'

# Paragraphs, put together until there are 500 characters.
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
              text = text $0 "\\n"; if (length(text) >= 500) flush() }
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
