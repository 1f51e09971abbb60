#!/usr/bin/env python3
"""Makes src/text/unicode.def: where Hugging Face `tokenizers` knows other characters than PCRE2 and utf8proc.

Each part of `tokenizers` carries the Unicode of its own time: its regular expressions 16, its lower case 17, its
normalization 9, its clusters of characters 16. Tokens must be the same as there, so the sets are asked of it, character
by character, and not taken from the standard; only what clusters are made of is first taken from `regex`, then asked.
Needs tokenizers, regex and a Python whose unicodedata is 14.0.0 (Python 3.11), the version of Debian 12's PCRE2 and
utf8proc. Run from anywhere; the file is the same bytes for the same versions.
"""
import pathlib
import runpy
import unicodedata

import regex
import tokenizers
from tokenizers import Regex
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P

assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
CHARSMAP = runpy.run_path(str(pathlib.Path(__file__).resolve().parent / "charsmap.py"))["charsmap"]
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
    write_items(lines, [f"{macro}(0x{a:x}, 0x{b:x}{''.join(', ' + m for m in more)})" for a, b in ranges(found)])


def write_kinds(lines, macro, kinds):
    """All kinds in one ascending order."""
    all_ranges = sorted((a, b, name) for name, found in kinds for a, b in ranges(found))
    write_items(lines, [f"{macro}(0x{a:x}, 0x{b:x}, {name})" for a, b, name in all_ranges])


def write_items(lines, items):
    line = ""
    for item in items:
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


def changing(normalizer, before="a", after="b"):
    """The characters that a normalizer removes."""
    return {c for c in CHARACTERS if normalizer.normalize_str(before + chr(c) + after) == before + after}


def removing(normalizer):
    """Of the characters without canonical parts: their parts are asked for themselves."""
    nfd = N.NFD()
    return {c for c in changing(normalizer) if nfd.normalize_str(chr(c)) == chr(c)}


def asked(form, yes, characters):
    """Characters c of at most three bytes for which form(c), c made "X" with the rest of its cluster, becomes `yes`."""
    found = set()
    small = [c for c in characters if c < 0x10000]
    for i in range(0, len(small), 1024):
        some = small[i : i + 1024]
        normalizer = N.Precompiled(CHARSMAP({chr(c): "X" for c in some}))
        found.update(c for c in some if normalizer.normalize_str(form(chr(c))) == yes)
    return found | {c for c in characters if c >= 0x10000}


def clusters():
    """What extended grapheme clusters are made of. A cluster of at most five bytes is replaced by what its beginning
    becomes, which tells where one ends."""
    text = "".join(map(chr, CHARACTERS))

    def of(name):
        return {ord(c) for c in regex.findall(rf"\p{{{name}}}", text)}

    joins = N.Precompiled(CHARSMAP({"a": "X"}))
    joined = {c for c in CHARACTERS if joins.normalize_str("a" + chr(c)) == "X"}
    assert joined <= of("GCB=Extend") | of("GCB=ZWJ") | of("GCB=SpacingMark")
    prepend = {c for c in of("GCB=Prepend") if N.Precompiled(CHARSMAP({chr(c): "X"})).normalize_str(chr(c) + "a") == "X"}
    control = of("GCB=Control") | of("GCB=CR") | of("GCB=LF")
    control = asked(lambda c: c + "\u0301", "X\u0301", control)
    linker = {c for c in of("InCB=Linker") & joined
              if asked(lambda d: "\u0915" + chr(c) + d + "\u0301", "\u0915" + chr(c) + "X\u0301", {0x916})}
    return [("CONTROL", control), ("EXTEND", (of("GCB=Extend") & joined) - {0x200D}), ("ZWJ", {0x200D}),
            ("MARK", of("GCB=SpacingMark") & joined), ("PREPEND", prepend),
            ("REGION", of("GCB=Regional_Indicator")), ("L", of("GCB=L")), ("V", of("GCB=V")), ("T", of("GCB=T")),
            ("PICTURE", asked(lambda c: "\U0001f600\u200d" + c + "\u0301", "\U0001f600\u200dX\u0301",
                              of("Extended_Pictographic"))),
            ("CONSONANT", asked(lambda c: "\u0915\u094d" + c + "\u0301", "\u0915\u094dX\u0301", of("InCB=Consonant"))),
            ], [("LINKER", linker), ("INNER", of("InCB=Extend") & joined)]


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
    lines += ["", "/* what BertNormalizer cleans away, and the marks that its strip_accents removes; those of StripAccents */"]
    write(lines, "LF_UNCLEAN", changing(N.BertNormalizer(True, False, False, False)))
    write(lines, "LF_ACCENT", removing(N.BertNormalizer(False, False, True, False)))
    write(lines, "LF_MARK", changing(N.StripAccents()))
    lines += ["", "/* what extended grapheme clusters are made of (grapheme.c), and what consonants are joined by */"]
    for macro, kinds in zip(("LF_CLUSTER", "LF_JOINER"), clusters()):
        write_kinds(lines, macro, kinds)
    path = pathlib.Path(__file__).resolve().parent.parent / "src/text/unicode.def"
    path.write_text("\n".join(lines) + "\n")
    print(path.name, len(lines), "lines")


main()
