#!/usr/bin/env python3
"""Makes src/text/unicode.def: where Hugging Face `tokenizers` knows other characters than PCRE2 and utf8proc.

Each part of `tokenizers` carries the Unicode of its own time: its regular expressions 16, its lower case 17, its
normalization 9. Tokens must be the same as there, so the sets are asked of it, character by character, and not taken
from the standard. Needs tokenizers and a Python whose unicodedata is 14.0.0 (Python 3.11), the version of Debian 12's
PCRE2 and utf8proc. Run from anywhere; the file is the same bytes for the same versions.
"""
import pathlib
import unicodedata

import tokenizers
from tokenizers import Regex
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P

assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
CHARACTERS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cf".split()
SCRIPTS = {"Han": [(0x2B739, 0x2B739), (0x2EBF0, 0x323AF)], "Hiragana": [(0x1B132, 0x1B132)],
           "Katakana": [(0x1B155, 0x1B155)], "Latin": [(0xA7CB, 0xA7DC), (0x1DF25, 0x1DF2A)],
           "Cyrillic": [(0x1C89, 0x1C8A), (0x1E030, 0x1E08F)], "Arabic": [(0x897, 0x897), (0x10EC2, 0x10EFF)]}


def matching(pattern, characters=CHARACTERS):
    """The characters that a pattern of one character matches."""
    found = set()
    for i in range(0, len(characters), 4096):
        some = characters[i : i + 4096]
        rest = P.Split(Regex(pattern), "removed").pre_tokenize_str("".join(map(chr, some)))
        left = bytearray(len(some))
        for _, (a, b) in rest:
            left[a:b] = b"\1" * (b - a)
        found.update(c for c, l in zip(some, left) if not l)
    return found


def splitting(pre_tokenizer):
    return {c for c in CHARACTERS if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) != 1}


def ranges(found):
    out = []
    for c in sorted(found):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def write(lines, macro, found, *more):
    line = ""
    for a, b in ranges(found):
        item = f"{macro}(0x{a:x}, 0x{b:x}{''.join(', ' + m for m in more)})"
        if line and len(line) + len(item) > 118:
            lines.append(line)
            line = ""
        line += (" " if line else "") + item
    if line:
        lines.append(line)


def inert():
    """Characters that normalize here, but not there: a new mark is no mark yet, a new letter has no parts yet."""
    nfd, nfkd, found = N.NFD(), N.NFKD(), set()
    for c in CHARACTERS:
        s = chr(c)
        there = nfkd.normalize_str(s) != s or nfd.normalize_str(s + "\u0334") != s + "\u0334"
        there = there or nfd.normalize_str("\u0345" + s) != "\u0345" + s
        here = unicodedata.normalize("NFKD", s) != s or unicodedata.combining(s)
        if here and not there:
            found.add(c)
            parts = unicodedata.decomposition(s)
            if parts and not parts.startswith("<"):
                found.add(int(parts.split()[-1], 16))  # which combines with nothing else, there
    return found


def main():
    lines = [f"/* Made by scripts/make-unicode-tables.py from tokenizers {tokenizers.__version__} and unicodedata "
             f"{unicodedata.unidata_version}; see unicode.h. */", ""]
    late = set()
    lines.append("/* characters that its regular expressions know and PCRE2 does not, with their category or script */")
    for name in CATEGORIES:
        new = {c for c in matching(rf"\p{{{name}}}") if unicodedata.category(chr(c)) != name}
        late |= new
        write(lines, "LF_LATE", new, f'"{name}"')
    for name, where in SCRIPTS.items():
        some = [c for a, b in where for c in range(a, b + 1)]
        write(lines, "LF_LATE", matching(rf"\p{{{name}}}", some), f'"{name}"')
    lines += ["", "/* \\w of its added tokens (single_word) and of Whitespace */"]
    write(lines, "LF_WORD", set(CHARACTERS) - splitting(P.Whitespace()))
    lines += ["", "/* Digits */"]
    write(lines, "LF_NUMERIC", splitting(P.Digits(individual_digits=True)))
    lines += ["", "/* Punctuation */"]
    write(lines, "LF_PUNCTUATION", splitting(P.Punctuation()))
    lines += ["", "/* characters that its normal forms leave alone */"]
    write(lines, "LF_INERT", inert() | late)
    lines += ["", "/* lower case that utf8proc does not know: first, last, what to add */"]
    lower, by_delta = N.Lowercase(), {}
    for c in CHARACTERS:
        s = lower.normalize_str(chr(c))
        if s != chr(c).lower():
            by_delta.setdefault(ord(s) - c, set()).add(c)
    for delta, found in sorted(by_delta.items()):
        write(lines, "LF_LOWER", found, str(delta))
    path = pathlib.Path(__file__).resolve().parent.parent / "src/text/unicode.def"
    path.write_text("\n".join(lines) + "\n")
    print(path.name, len(lines), "lines")


main()
