#!/usr/bin/env python3
"""Compares our tokenizers with Hugging Face `tokenizers`, string by string, and measures their speed.

    check-tokenizer.py [--strings 10000] [--seed 2] [--all-characters] [--time FILE] [NAME or tokenizer.json ...]

NAME is a tokenizer of make-golden-tokenizer.py; without names all of them are compared. Ids with and without special tokens, the text of the ids, and
the text of random ids are compared. --time: megabytes a second of both on the text of FILE, one thread. Needs
tokenizers, and cc with our libraries: src/base, src/jinja and src/text are built into a temporary library."""
import argparse
import ctypes
import json
import pathlib
import random
import runpy
import subprocess
import sys
import tempfile
import time

from tokenizers import AddedToken, Regex, Tokenizer, models
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = runpy.run_path(str(ROOT / "scripts/make-golden-tokenizer.py"))


class Ids(ctypes.Structure):
    _fields_ = [("ids", ctypes.POINTER(ctypes.c_int32)), ("n", ctypes.c_int64), ("capacity", ctypes.c_int64)]


class Err(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 1024)]


def library(folder):
    sources = [str(p) for d in ("base", "jinja", "text") for p in sorted((ROOT / "src" / d).glob("*.c"))]
    out = f"{folder}/liblf_text.so"
    subprocess.run(["cc", "-std=c17", "-O3", "-g", "-shared", "-fPIC", '-DLF_VERSION="check"', f"-I{ROOT}/src",
                    f"-I{ROOT}/include", *sources, "-lcjson", "-lxxhash", "-lpcre2-8", "-lutf8proc", "-lm", "-o", out],
                   check=True)
    lib = ctypes.CDLL(out)
    lib.lf_tokenizer_vocab_size.restype = ctypes.c_int64
    lib.lf_tokenizer_token.restype = ctypes.c_char_p
    return lib


class Ours:
    def __init__(self, lib, text):
        self.lib, self.err, self.t = lib, Err(), ctypes.c_void_p()
        self.check(lib.lf_tokenizer_parse(ctypes.byref(self.t), text, ctypes.c_size_t(len(text)), b"tokenizer.json",
                                          ctypes.byref(self.err)))

    def check(self, rc):
        if rc:
            raise RuntimeError(self.err.message.decode(errors="replace"))

    def encode(self, text, special):
        ids = Ids()
        self.check(self.lib.lf_tokenizer_encode(self.t, text, ctypes.c_size_t(len(text)), ctypes.c_bool(special),
                                                ctypes.byref(ids), ctypes.byref(self.err)))
        out = ids.ids[: ids.n] if ids.n else []
        self.lib.lf_free(ids.ids)
        return out

    def decode(self, ids, skip):
        text, n = ctypes.c_void_p(), ctypes.c_size_t()
        self.check(self.lib.lf_tokenizer_decode(self.t, (ctypes.c_int32 * len(ids))(*ids), ctypes.c_int64(len(ids)),
                                                ctypes.c_bool(skip), ctypes.byref(text), ctypes.byref(n),
                                                ctypes.byref(self.err)))
        out = ctypes.string_at(text, n.value)
        self.lib.lf_free(text)
        return out.decode()

    def stream(self, ids, skip):
        s, text, n, out = ctypes.c_void_p(), ctypes.c_char_p(), ctypes.c_size_t(), []
        self.check(self.lib.lf_stream_new(ctypes.byref(s), self.t, ctypes.c_bool(skip), ctypes.byref(self.err)))
        for i in [*ids, None]:
            args = (ctypes.byref(text), ctypes.byref(n), ctypes.byref(self.err))
            self.check(self.lib.lf_stream_end(s, *args) if i is None else self.lib.lf_stream_push(s, ctypes.c_int32(i), *args))
            out.append(ctypes.string_at(text, n.value).decode())
        self.lib.lf_stream_free(s)
        return "".join(out)


def compare(name, theirs, ours, strings, seed):
    r = random.Random(seed)
    wrong = {"encode": 0, "special": 0, "decode": 0, "random ids": 0, "stream": 0}
    size = ours.lib.lf_tokenizer_vocab_size(ours.t)
    known = [i for i in range(size) if ours.lib.lf_tokenizer_token(ours.t, i) is not None]

    def differ(what, text, a, b):
        wrong[what] += 1
        if wrong[what] <= 3:
            print(f"{name}: {what}: {text[:80]!r}\n  theirs {a[:300]}\n  ours   {b[:300]}")

    for s in strings:
        raw, ids = s.encode(), None
        for what, special in (("encode", False), ("special", True)):
            ids = theirs.encode(s, add_special_tokens=special).ids
            mine = ours.encode(raw, special)
            if ids != mine:
                differ(what, s, ids, mine)
        noise = [r.choice(known) for _ in range(r.randrange(20))]
        for what, some in (("decode", ids), ("random ids", noise)):
            for skip in (False, True):
                a, b = theirs.decode(some, skip_special_tokens=skip), ours.decode(some, skip)
                if a != b:
                    differ(what, s, a, b)
        if ours.stream(ids, True) != ours.decode(ids, True):
            differ("stream", s, ours.decode(ids, True), ours.stream(ids, True))
    print(f"{name}: {len(strings)} strings, differences: {wrong}", flush=True)
    return sum(wrong.values())


CATEGORIES = "L Lu Ll Lt Lm Lo M Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Cf".split()
SCRIPTS = "Han Hiragana Katakana Hangul Latin Cyrillic Greek Arabic Thai".split()
PATTERNS = [r"\p{%s}" % name for name in CATEGORIES + SCRIPTS] + [
    r"\P{L}", r"\p{^N}", r"[^\p{L}\p{M}]", r"[\p{Han}a-c]", r"\w", r"\W", r"[\w]", r"[^\w]", r"\d", r"\D", r"[\d-]", r"\s",
    r"\S", r"[\s]", r"[^\s]", r"[\S]", r"[^\S]", r"\b.", r".\B", r"(?i:k)", r"(?i:s)", r"(?i:[k-t])", r"^.", r".$", r".",
    r"(?<=\w)\W", r"(?!\p{L}).", r"\v", r"\x{e9}|\u00ea", r"[\x{3040}-\u30ff]", r"\p{N}{1,3}+a?", r"(?>\p{L}+).",
    r"[^\r\n\p{L}\p{N}]?+\p{L}++"]


def all_characters(lib):
    """Small tokenizers whose ids show what a step did, with strings that hold every character."""
    some = []
    for pattern in PATTERNS:
        t = Tokenizer(models.BPE({"u": 0}, [], unk_token="u"))
        t.pre_tokenizer = P.Split(Regex(pattern), "removed")
        some.append((pattern, t, "{c}"))
    letters = {c: i for i, c in enumerate(sorted(P.ByteLevel.alphabet()))}
    for n in (N.NFC(), N.NFD(), N.NFKC(), N.NFKD(), N.Lowercase(), N.Sequence([N.NFKD(), N.Lowercase(), N.NFKC()])):
        t = Tokenizer(models.BPE(letters, []))
        t.normalizer, t.pre_tokenizer = n, P.ByteLevel(add_prefix_space=False, use_regex=False)
        some += [(str(n), t, "{c}"), (str(n), t, "a{c}\u0323{c}\u0301b{c}\u0334{c}")]
    for n in (N.BertNormalizer(), N.BertNormalizer(lowercase=False), N.BertNormalizer(False, False, True, False), N.StripAccents(),
              N.Nmt(), N.Precompiled(GOLDEN["CHARSMAP"](GOLDEN["replacements"]()))):
        t = Tokenizer(models.BPE(letters, []))
        t.normalizer, t.pre_tokenizer = n, P.ByteLevel(add_prefix_space=False, use_regex=False)
        some += [(str(n)[:60], t, form) for form in ("a{c}b", "a\u0323{c}\u0301q{c}\u0334ab{c}\u2122{c}\u0307 ", "\u00a0{c}q")]
    for p in (P.BertPreTokenizer(), P.Digits(True), P.Digits(False), P.Punctuation(), P.Whitespace(), P.WhitespaceSplit()):
        t = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "u": 3}, [("a", "b")], unk_token="u", fuse_unk=True))
        t.pre_tokenizer = p
        some.append((str(p), t, "ab{c}ab{c}{c}a"))
    t = Tokenizer(models.BPE({"a": 0, "u": 1}, [], unk_token="u"))
    t.add_tokens([AddedToken("WW", single_word=True), AddedToken("LL", lstrip=True), AddedToken("RR", rstrip=True)])
    some.append(("added tokens", t, "a{c}WW{c}a{c}LLa RR{c}a WW{c}"))
    every, wrong = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000], 0
    for name, theirs, form in some:
        ours, bad = Ours(lib, theirs.to_str().encode()), []
        for i in range(0, len(every), 64):  # NUL stands in the first
            s = "".join(form.format(c=c) for c in every[i : i + 64])
            if theirs.encode(s).ids != ours.encode(s.encode(), False):
                bad.append(hex(ord(every[i])))
        print(f"{name}: {len(every)} characters, differences near: {bad or 'none'}", flush=True)
        wrong += len(bad)
    return wrong


def exact(theirs, json_text):
    """The same with the scores of a Unigram model as the file has them, which is how transformers' classes make it. The
    file reader of `tokenizers` itself is off by a bit in one score of four, which decides between equal ways to cut runs
    of one letter: in one string of 10,000."""
    model = json.loads(json_text)["model"]
    if model.get("type") == "Unigram":
        theirs.model = models.Unigram([tuple(v) for v in model["vocab"]], model["unk_id"], model.get("byte_fallback", False))
    return theirs


def measure(name, theirs, ours, text):
    raw = text.encode()
    lines = text.splitlines(keepends=True)
    raw_lines = [s.encode() for s in lines]

    def rate(run):
        """MB/s of the first pass; words that both remember make the next ones faster."""
        begin = time.process_time()
        run()
        return len(raw) / 1e6 / (time.process_time() - begin)

    ids = Ids()

    def ours_once(parts):
        for part in parts:
            ids.n = 0
            ours.check(ours.lib.lf_tokenizer_encode(ours.t, part, ctypes.c_size_t(len(part)), ctypes.c_bool(False),
                                                    ctypes.byref(ids), ctypes.byref(ours.err)))

    by_line = rate(lambda: ours_once(raw_lines))
    print(f"{name}: {len(raw) / 1e6:.1f} MB: ours {by_line:.1f} MB/s by line, {rate(lambda: ours_once([raw])):.1f} again "
          f"and whole; theirs {rate(lambda: [theirs.encode(s) for s in lines]):.1f} by line", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("files", nargs="*")
    p.add_argument("--strings", type=int, default=10000)
    p.add_argument("--seed", type=int, default=2)
    p.add_argument("--all-characters", action="store_true", help="each pattern, normal form and set of characters with every character there is")
    p.add_argument("--time")
    args = p.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        lib = library(folder)
        zoo = {make.__name__: make for make in GOLDEN["ZOO"] + GOLDEN["ZOO_OF_WORDS"]}
        some = [(name, zoo[name]().to_str().encode() if name in zoo else pathlib.Path(name).read_bytes())
                for name in args.files or zoo]
        strings = GOLDEN["strings"](args.strings, args.seed)
        if args.all_characters:
            sys.exit(all_characters(lib) > 0)
        for name, text in some:
            theirs, ours = exact(Tokenizer.from_str(text.decode()), text), Ours(lib, text)
            theirs.no_truncation()
            theirs.no_padding()
            if args.time:
                measure(name, theirs, ours, pathlib.Path(args.time).read_text())
            else:
                wrong += compare(name, theirs, ours, strings, args.seed)
    sys.exit(wrong > 0)


main()
