"""Writes the seeds of a fuzz target: small inputs of each kind that its reader knows, so that a run of seconds gets beyond
the first check. Arguments: the target's name, a folder."""
import json
import os
import struct
import sys

import seeds_of_files
import seeds_of_models
import seeds_of_pictures
import seeds_of_texts
import seeds_of_tokenizers


def gguf():
    def word(s):
        return struct.pack("<Q", len(s)) + s

    def key(name, kind, body):
        return word(name) + struct.pack("<I", kind) + body

    def tensor(name, dims, kind, offset):
        return word(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", kind, offset)

    def whole(keys, tensors, data=b"", version=3, alignment=32):
        head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
        return head + bytes(-len(head) % alignment) + data

    keys = [key(b"general.architecture", 8, word(b"llama")), key(b"n", 4, struct.pack("<I", 7)), key(b"x", 6, struct.pack("<f", 0.5)),
            key(b"yes", 7, b"\1"), key(b"l", 11, bytes(8)), key(b"words", 9, struct.pack("<IQ", 8, 2) + word(b"a") + word(b"")),
            key(b"kinds", 9, struct.pack("<IQ", 5, 2) + bytes(8))]
    a, b = tensor(b"a", [2, 3], 0, 0), tensor(b"b", [32], 2, 32)
    yield whole(keys, [a, b], bytes(64))
    yield whole(keys + [key(b"general.alignment", 4, struct.pack("<I", 8))], [a, tensor(b"b", [4], 30, 24)], bytes(32), 2, 8)
    yield whole([], [])
    for bad in ([key(b"k", 13, b"")], [key(b"k", 9, struct.pack("<IQ", 9, 1))], [key(b"k", 9, struct.pack("<IQ", 10, 2 ** 61))], [key(b"k", 8, b"\xff" * 8)],
                [key(b"k", 7, b"\2")], keys[1:2] * 2, [key(b"general.alignment", 4, struct.pack("<I", 24))], [key(b"general.alignment", 8, word(b""))]):
        yield whole(bad, [a], bytes(32))
    for bad in (tensor(b"a", [], 0, 0), tensor(b"a", [1] * 5, 0, 0), tensor(b"a", [0], 0, 0), tensor(b"a", [2 ** 40, 2 ** 40], 0, 0), tensor(b"a", [31], 2, 0),
                tensor(b"a", [4], 4, 0), tensor(b"a", [4], 0, 32), tensor(b"a" * 65, [4], 0, 0), tensor(b"a", [2 ** 20], 0, 0)):
        yield whole(keys[:1], [bad], bytes(32))
    yield whole([], [a, a], bytes(64))
    for version in (0, 1, 4, 0x3000000):
        yield whole([], [], b"", version)
    yield b"GGUF" + struct.pack("<IQQ", 3, 2 ** 63, 2 ** 63)


def json_texts():
    yield b'{"a": 1, "b": [true, null, -2.5e3, "x\\u00e9\\n"], "c": {"a": {}}}'
    yield b'// a comment\n{"a": 9007199254740993 /* and another */}'
    yield b'{"a": 1, "a": 2}'
    for bad in (b"", b" \n", b"{", b"[1,]", b'{"a" 1}', b"nul", b"1 2", b'{"a": NaN}', b"[-Infinity]", b"[1e999]", b"[01]", b"[+1]", b"[.5]", b"[1.]", b'["\xff"]', b'["\\ud800"]', b'["\\x"]', b'["a\nb"]',
                b'["\\u0000"]', b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"/* open", b"// end", b"[" * 1500, b'{"a": 123456789012345678901234567890, "b": -0.0, "c": 1e-320}', b"<html>", b"'a'", b'{"a": "1"}',
                b'{"a": 1.5}', b'{"a": [1]}', b'{"a": null}', b'{"a": {}}', b'{"a": true}', b'{"a": 1e300}', b'["\\ud83e\\udd99 \\/ \\b\\f\\t"]'):
        yield bad
    for more in (b'{"a": true, "b": 1.0}', b'{"a": "\x1b[1m\xe2\x80\xae", "b": [1e22, 1e-5, 123456.789, 5e-324, -0.0, 1e15, 0.1]}', b'[' + b"1" * 4400 + b"]", b'"\t', b"\x01", b'{"a" 1', b"null", b'["a\x00b"]', b'[' * 200 + b']' * 200,
                 b'{"b": 2, "a": {"d": [], "c": {}}}', b'[1, 2,\n 3 "x"]', b"True", b"[1 2]", b'{"a": 12345678901234567890123, "b": -1}', b'{"a": [1.50, 2e3, -7.0E-2]}', b'\xed\xa0\x80', b'{"a": nan}', b'{a: 1}'):
        yield more


def jinja():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/jinja")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".jinja"):
            with open(os.path.join(folder, name), "rb") as file:
                yield file.read()
    with open(os.path.join(folder, "expressions.txt"), "rb") as file:
        yield from file.read().splitlines()


def parquet():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/parquet")
    whole = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".parquet") and os.path.getsize(path) <= 9100:
            with open(path, "rb") as file:
                whole[name] = file.read()
    yield from whole.values()
    # One byte another: of the page headers and pages, and, at the end, of the footer, whose every length and kind is one.
    for name, times in (("classes.parquet", 60), ("chat.parquet", 90), ("flat-v1-gzip.parquet", 30), ("encodings-v2.parquet", 60), ("encodings-v1.parquet", 30), ("hub.parquet", 30)):
        body = whole[name]
        footer = len(body) - 8 - struct.unpack("<I", body[-8:-4])[0]
        for i in range(times):
            at = 4 + i * (footer - 4) // times if i % 3 == 0 else footer + i * (len(body) - 9 - footer) // times
            yield body[:at] + bytes([body[at] ^ (1 << i % 8 if i % 2 else 0x7f)]) + body[at + 1:]
    body = whole["classes.parquet"]
    for some in (body[:6], body[:-9], body[:-4] + b"PARE", body[:-4] + b"XXXX", body[:-8] + b"\xff" * 4 + b"PAR1", body[:-8] + b"\0" * 4 + b"PAR1", b"PAR1" + body[:20] + b"\2\0\0\0PAR1", b"", b"PK\3\4", b"\x1f\x8b\x08" + body[3:], b"nothing at all", b"PAR1"):
        yield some


SEEDS = {"fuzz_gguf": gguf, "fuzz_json": json_texts, "fuzz_jinja": jinja, "fuzz_parquet": parquet,
         **seeds_of_files.SEEDS, **seeds_of_models.SEEDS, **seeds_of_pictures.SEEDS, **seeds_of_texts.SEEDS, **seeds_of_tokenizers.SEEDS}


def main(name, folder):
    if name not in SEEDS:
        sys.exit(f"tests/fuzz/seeds.py: {name} has no seeds; add a function that makes them, and its line in SEEDS")
    for number, seed in enumerate(SEEDS[name]()):
        with open(os.path.join(folder, f"seed-{number}"), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
