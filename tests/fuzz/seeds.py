"""Writes the seeds of a fuzz target: small inputs of each kind that its reader knows, so that a run of seconds gets beyond
the first check. Arguments: the target's name, a folder."""
import json
import os
import struct
import sys
import zlib

import seeds_of_files
import seeds_of_texts
import seeds_of_tokenizers


def safetensors():
    header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
              "b": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]}}
    for one in (header, {}, {"a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}}):
        text = json.dumps(one).encode()
        text += b" " * (-len(text) % 8)
        size = max([0] + [t["data_offsets"][1] for n, t in one.items() if n != "__metadata__"])
        yield struct.pack("<Q", len(text)) + text + bytes(range(size))
    good = header["a"]
    for bad in ({"dtype": "F4"}, {"dtype": 3}, {"shape": [1] * 9}, {"shape": [2 ** 40, 2 ** 40]}, {"shape": [-1]}, {"shape": [1.5]}, {"shape": 3}, {"shape": [3]},
                {"data_offsets": [0]}, {"data_offsets": [0, 99]}, {"data_offsets": [8, 0]}, {"data_offsets": [-1, 15]}, {"data_offsets": "x"}, {"data_offsets": [4, 20]}):
        text = json.dumps({"a": dict(good, **bad)}).encode()
        yield struct.pack("<Q", len(text)) + text + bytes(16)
    for text in (b"[]", b"{", b'{"a": 1}', b'{"__metadata__": 3}', b'{"__metadata__": {"a": 1}}', b'{"a\\u0000b": {}}', b'{"": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}'):
        yield struct.pack("<Q", len(text)) + text + b"\0"
    for whole in (b"", b"1234", struct.pack("<Q", 99) + b"{}", struct.pack("<Q", 2 ** 62) + b"{}", struct.pack("<Q", 2) + b"{}x", b"PK\3\4 zipped tensors", b"version https://git-lfs.github.com/spec/v1\n"):
        yield whole


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


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height):
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(3 * width)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b""))


def bmp(width, height):
    row = (3 * width + 3) // 4 * 4
    return (b"BM" + struct.pack("<IHHI", 54 + row * height, 0, 0, 54) +
            struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, row * height, 0, 0, 0, 0) + bytes(row * height))


def tga(kind, rows):
    return bytes([0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 24, 0]) + rows


def gif(width, height):
    return (b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255]) +
            b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0;")


def riff(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def exif(orientation):
    return b"II*\0" + struct.pack("<IHHHII4x", 8, 1, 274, 3, 1, orientation)


def webp():
    one = bytes.fromhex("2f00000010071011118888080700")  # a lossless picture of one pixel
    yield riff((b"VP8L", one))
    yield riff((b"VP8X", bytes([8]) + bytes(9)), (b"VP8L", one), (b"EXIF", exif(6)))
    frame = bytes(12) + struct.pack("<I", 10) + b"VP8L" + struct.pack("<I", len(one)) + one
    yield riff((b"VP8X", bytes([2]) + bytes(9)), (b"ANIM", bytes(6)), (b"ANMF", frame))


def tiff(order, photometric, compression, body, *more, bits=8):
    entries = [(256, 4), (257, 2), (258, bits), (259, compression), (262, photometric), (273, 8), (277, 1), (278, 2),
               (279, len(body)), *more]
    directory = b"".join(struct.pack(order + "HHIH2x", tag, 3, 1, value) for tag, value in sorted(entries))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(body))
    return head + body + struct.pack(order + "H", len(entries)) + directory + bytes(4)


def image():
    yield from webp()
    yield tiff("<", 1, 1, bytes(range(8)))
    yield tiff(">", 0, 32773, bytes([0xFD, 7, 3, 1, 2, 3, 4]), (274, 6))
    yield tiff("<", 1, 8, zlib.compress(bytes(range(8))))
    yield tiff("<", 1, 5, bytes.fromhex("800000202018100a0603c040"))
    yield tiff("<", 1, 1, bytes(256), (322, 16), (323, 16), (324, 8), (325, 256))
    yield tiff("<", 1, 1, bytes(12), bits=12)
    yield tiff("<", 1, 1, bytes(6), bits=5)
    yield tiff("<", 1, 1, bytes(4), bits=4)
    yield b"\x89PNG\r\n\x1a\n" + png(4, 2)[8:33] + png_chunk(b"eXIf", exif(8)) + png(4, 2)[33:]
    yield b"P1 3 2 1 0 1\n# a comment\n011"
    yield b"P3 1 2 9 1 2 3 4 5 6"
    yield b"P4 9 1\n\x55\x80"
    yield png(5, 3)
    yield bmp(3, 2)
    yield gif(3, 2)
    yield b"P6 2 2 255\n" + bytes(range(12))
    yield b"P5 3 1 255\n\1\2\3"
    yield tga(2, bytes(12))
    yield tga(10, b"\x82\1\2\3\0\4\5\6")


def json_texts():
    yield b'{"a": 1, "b": [true, null, -2.5e3, "x\\u00e9\\n"], "c": {"a": {}}}'
    yield b'// a comment\n{"a": 9007199254740993 /* and another */}'
    yield b'{"a": 1, "a": 2}'
    for bad in (b"", b" \n", b"{", b"[1,]", b'{"a" 1}', b"nul", b"1 2", b'{"a": NaN}', b"[-Infinity]", b"[1e999]", b"[01]", b"[+1]", b"[.5]", b"[1.]", b'["\xff"]', b'["\\ud800"]', b'["\\x"]', b'["a\nb"]',
                b'["\\u0000"]', b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"/* open", b"// end", b"[" * 1500, b'{"a": 123456789012345678901234567890, "b": -0.0, "c": 1e-320}', b"<html>", b"'a'", b'{"a": "1"}',
                b'{"a": 1.5}', b'{"a": [1]}', b'{"a": null}', b'{"a": {}}', b'{"a": true}', b'{"a": 1e300}', b'["\\ud83e\\udd99 \\/ \\b\\f\\t"]'):
        yield bad


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
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".parquet") and os.path.getsize(path) <= 4000:  # what run.sh lets through
            with open(path, "rb") as file:
                yield file.read()


SEEDS = {"fuzz_safetensors": safetensors, "fuzz_gguf": gguf, "fuzz_image": image, "fuzz_json": json_texts, "fuzz_jinja": jinja, "fuzz_parquet": parquet,
         **seeds_of_files.SEEDS, **seeds_of_texts.SEEDS, **seeds_of_tokenizers.SEEDS}


def main(name, folder):
    if name not in SEEDS:
        sys.exit(f"tests/fuzz/seeds.py: {name} has no seeds; add a function that makes them, and its line in SEEDS")
    for number, seed in enumerate(SEEDS[name]()):
        with open(os.path.join(folder, f"seed-{number}"), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
