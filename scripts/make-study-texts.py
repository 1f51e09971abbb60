#!/usr/bin/env python3
"""Makes the short texts of the study's sentence encoder from what any Debian machine has.

    make-study-texts.py OUTDIR

OUTDIR/books/{train,val,test}.jsonl   verses of the King James Bible (package bible-kjv-text) and the book that each is from, twelve
                                      books; chapters are in one of the three
OUTDIR/packages/heldout.jsonl         what packages are, in a line, and the section that each is in (apt's list), ten sections

Every text once; which ones is a function of their hashes, so the same lists give the same files. Installs nothing. Exit codes: 2
usage, 3 a text is missing."""
import collections
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

BOOKS = ["Genesis", "Leviticus", "1 Samuel", "Job", "Psalms", "Proverbs", "Isaiah", "Ezekiel", "Matthew", "Acts", "Romans", "Revelation"]
PER_BOOK = {"train": 100, "val": 30, "test": 60}
SECTIONS = ["games", "science", "sound", "mail", "fonts", "graphics", "database", "editors", "electronics", "java"]
PER_SECTION = 100


def run(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as e:
        print(f"make-study-texts: {' '.join(command)}: {e}", file=sys.stderr)
        sys.exit(3)


def share(text):
    """A number of a text in [0, 1): its place in an order that nobody chose."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def parts(chapters):
    """Half of each book's chapters are for training, a fifth for choosing, the rest for the test: {(book, chapter): part}."""
    of = {}
    for book in BOOKS:
        own = sorted({c for c in chapters if c[0] == book}, key=lambda c: share(" ".join(c)))
        for i, c in enumerate(own):
            of[c] = "train" if i < 0.5 * len(own) else "val" if i < 0.7 * len(own) else "test"
    return of


def verses():
    book = chapter = None
    for line in run("bible", "-l1000000", "Gen1:1-Rev22:21").splitlines():
        if head := re.fullmatch(r"(\S.*) (\d+)", line):
            book, chapter = head.groups()
        elif (verse := re.fullmatch(r" +\d+ (.*)", line)) and book:
            yield (book, chapter), verse.group(1).strip()


def packages():
    for entry in run("apt-cache", "dumpavail").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and line[0] != " ")
        if "Section" in fields and "Description" in fields:
            yield fields["Section"], re.sub(r" \([^)]*\)$", "", fields["Description"].strip())


def choose(texts, labels, count, what):
    """count texts of each of the labels, by their hashes; texts [(label, text)]."""
    seen, by_label = set(), collections.defaultdict(list)
    for label, text in texts:
        if 20 <= len(text) <= 300 and text not in seen:
            seen.add(text)
            by_label[label].append(text)
    rows = []
    for label in labels:
        found = by_label[label]
        if len(found) < count:
            print(f"make-study-texts: {what}: {label} has {len(found)} texts, expected {count}; are apt's lists whole (apt-get update)?",
                  file=sys.stderr)
            sys.exit(3)
        rows += [{"text": t, "label": label} for t in sorted(found, key=share)[:count]]
    return sorted(rows, key=lambda r: share(r["text"]))


def write(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in rows)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    out = sys.argv[1]
    found = list(verses())
    part_of = parts([chapter for chapter, _ in found])
    for part, count in PER_BOOK.items():
        own = [(chapter[0], text) for chapter, text in found if part_of.get(chapter) == part]
        write(f"{out}.new/books/{part}.jsonl", choose(own, BOOKS, count, f"books, {part}"))
    write(f"{out}.new/packages/heldout.jsonl", choose(packages(), SECTIONS, PER_SECTION, "packages"))
    shutil.rmtree(out, ignore_errors=True)
    os.rename(f"{out}.new", out)


main()
