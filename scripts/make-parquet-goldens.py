#!/usr/bin/env python3
"""Writes tests/golden/parquet: small Parquet files of each encoding, codec, nesting and page version, and beside each the
rows that are expected of it, as JSON lines, read back by pyarrow itself. Needs pyarrow and datasets. Argument: the folder
to write into (default: tests/golden/parquet). A file's rows are written with what a reader of rows is to give: columns
that hold no JSON values are left out."""
import json
import math
import os
import random
import sys

import datasets
import numpy
import pyarrow
import pyarrow.parquet

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "tests", "golden", "parquet")
ROWS = 42
expected = {}
WORDS = "the quick brown fox jumps over a lazy dog — zwölf Boxkämpfer jagen 狐 🦊".split()


def texts(rng, n, nulls=True):
    out = []
    for i in range(n):
        kind = rng.randrange(8)
        out.append(None if nulls and kind == 0 else "" if kind == 1 else "long " * 60 + str(i) if kind == 2 and i % 5 == 0
                   else " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 8))))
    return out


def few(rng, n):
    return [rng.choice(["yes", "no", "perhaps", None]) for _ in range(n)]


def plain(v):
    """As JSON has it: what is no number is null."""
    if isinstance(v, float):
        return v if math.isfinite(v) else None
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    return v


def write(name, table, rows=None, left_out=(), **options):
    path = os.path.join(OUT, name + ".parquet")
    pyarrow.parquet.write_table(table, path, **{"row_group_size": 25, "data_page_size": 200, "write_batch_size": 5, **options})
    expect(name, rows or name, left_out)


def expect(name, rows, left_out=()):
    """Files of the same rows share what is expected of them."""
    read = pyarrow.parquet.read_table(os.path.join(OUT, name + ".parquet")).to_pylist()
    lines = [json.dumps({k: plain(v) for k, v in row.items() if k not in left_out}, ensure_ascii=False) + "\n" for row in read]
    path = os.path.join(OUT, rows + ".jsonl")
    if path in expected:
        assert expected[path] == lines, name
        return
    expected[path] = lines
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines)


def flat(rng):
    n = ROWS
    whole = [None if rng.randrange(6) == 0 else rng.choice([0, 1, -1, rng.randrange(-10**6, 10**6)]) for _ in range(n)]
    big = [2**53, 2**53 + 1, -2**63, 2**63 - 1, 123456789012345678, None] * (n // 6)
    return pyarrow.table({
        "text": pyarrow.array(texts(rng, n)),
        "few": pyarrow.array(few(rng, n)),
        "required": pyarrow.array(texts(rng, n, False)),
        "truth": pyarrow.array([rng.choice([True, False, None]) for _ in range(n)]),
        "i8": pyarrow.array([None if i % 7 == 0 else i % 256 - 128 for i in range(n)], pyarrow.int8()),
        "i16": pyarrow.array([i * 1000 - 32768 for i in range(n)], pyarrow.int16()),
        "i32": pyarrow.array(whole, pyarrow.int32()),
        "i64": pyarrow.array(big, pyarrow.int64()),
        "u8": pyarrow.array([i * 4 % 256 for i in range(n)], pyarrow.uint8()),
        "u32": pyarrow.array([2**32 - 1 - i for i in range(n)], pyarrow.uint32()),
        "u64": pyarrow.array([2**64 - 1 - i if i % 2 else i for i in range(n)], pyarrow.uint64()),
        "f16": pyarrow.array([numpy.float16(v) for v in ([0.5, -1.0, 65504.0, 6e-8] * n)[:n]], pyarrow.float16()),
        "f32": pyarrow.array([None if i % 9 == 0 else float("nan") if i == 5 else i / 7 for i in range(n)], pyarrow.float32()),
        "f64": pyarrow.array([None if i % 11 == 0 else 10.0**(i - 30) if i % 2 else float(i) for i in range(n)]),
        "nothing": pyarrow.nulls(n),
    })


def nested(rng):
    n = ROWS
    string = pyarrow.string()

    def messages():
        return [{"role": rng.choice(["user", "assistant"]), "content": rng.choice(texts(rng, 3))} for _ in range(rng.randrange(9))]

    def numbers(depth):
        if rng.randrange(7) == 0:
            return None
        return [rng.randrange(100) if depth == 0 else numbers(depth - 1) for _ in range(rng.randrange(4))]

    return pyarrow.table({
        "messages": pyarrow.array([None if i % 13 == 5 else messages() for i in range(n)],
                                  pyarrow.list_(pyarrow.struct([("role", string), ("content", string)]))),
        "choices": pyarrow.array([None if i % 10 == 9 else {"text": texts(rng, rng.randrange(5)), "label": list("ABCD")[:i % 5]} for i in range(n)],
                                 pyarrow.struct([("text", pyarrow.list_(string)), ("label", pyarrow.list_(string))])),
        "list": pyarrow.array([numbers(0) for _ in range(n)], pyarrow.list_(pyarrow.int32())),
        "lists": pyarrow.array([numbers(1) for _ in range(n)], pyarrow.list_(pyarrow.list_(pyarrow.int64()))),
        "lists3": pyarrow.array([numbers(2) for _ in range(n)], pyarrow.large_list(pyarrow.list_(pyarrow.list_(pyarrow.float64())))),
        "deep": pyarrow.array([None if i % 8 == 0 else {"a": None if i % 5 == 0 else {"b": [{"c": [i] * (i % 3), "d": None if i % 2 else "x"}] * (i % 4)}}
                               for i in range(n)],
                              pyarrow.struct([("a", pyarrow.struct([("b", pyarrow.list_(pyarrow.struct([
                                  ("c", pyarrow.list_(pyarrow.int32())), ("d", string)])))]))])),
        "fixed": pyarrow.array([None if i % 6 == 0 else [i, None, i + 1] for i in range(n)], pyarrow.list_(pyarrow.int32(), 3)),
        "long": pyarrow.array([[f"{i} {k}" * 3 for k in range(40 if i % 10 == 0 else 0)] for i in range(n)], pyarrow.list_(string)),
        "never": pyarrow.array([[] for _ in range(n)], pyarrow.list_(string)),
        "must": pyarrow.array([[{"x": i}] * (i % 3) for i in range(n)],
                              pyarrow.list_(pyarrow.field("item", pyarrow.struct([pyarrow.field("x", pyarrow.int32(), False)]), False))),
    }, schema=None)


def odd(rng):
    """Columns that are no JSON values, among some that are."""
    from decimal import Decimal
    import datetime
    day = datetime.date(2024, 2, 29)
    return pyarrow.table({
        "text": pyarrow.array(texts(rng, 20)),
        "binary": pyarrow.array([bytes([i, 255]) for i in range(20)]),
        "date": pyarrow.array([day] * 20),
        "time": pyarrow.array([datetime.datetime(2024, 1, 1)] * 20, pyarrow.timestamp("us")),
        "decimal": pyarrow.array([Decimal("1.5")] * 20, pyarrow.decimal128(5, 2)),
        "map": pyarrow.array([[("a", 1)]] * 20, pyarrow.map_(pyarrow.string(), pyarrow.int32())),
        "in_list": pyarrow.array([[{"when": day, "n": 1}]] * 20, pyarrow.list_(pyarrow.struct([("when", pyarrow.date32()), ("n", pyarrow.int32())]))),
        "label": pyarrow.array(list(range(20)), pyarrow.int64()),
    })


def pgm(level):
    return b"P5 3 2 255\n" + bytes([level] * 6)


def pictures():
    """Shards as the Hub has them: picture i is of level 10 i and of class i % 3. Others with bytes and texts alone."""
    folder = os.path.join(OUT, "pictures")
    os.makedirs(folder, exist_ok=True)
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog", "bird"], "_type": "ClassLabel"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])

    def shard(name, rows, **options):
        table = pyarrow.table({"image": pyarrow.array([{"bytes": pgm(10 * i), "path": f"{i}.pgm"} for i in rows], image),
                               "label": pyarrow.array([i % 3 for i in rows], pyarrow.int64())}).replace_schema_metadata(meta)
        pyarrow.parquet.write_table(table, os.path.join(folder, name), row_group_size=3, **options)

    shard("train-00000-of-00002.parquet", range(8))
    shard("train-00001-of-00002.parquet", range(8, 12), compression="none")
    shard("test-00000-of-00001.parquet", range(5), compression="zstd", data_page_version="2.0")
    plain = pyarrow.table({"picture": [pgm(7), pgm(8), None, b"no picture"], "kind": ["pear", "apple", "pear", "fig"], "n": [0, 2, 2, 1],
                           "bad": [0, -1, 1, None]})
    pyarrow.parquet.write_table(plain, os.path.join(folder, "plain.parquet"))
    several_labels(folder)


def several_labels(folder):
    """Several classes a picture: lists of a ClassLabel and of texts, names joined, columns of 0 and 1."""
    features = {"image": {"_type": "Image"}, "labels": {"feature": {"names": ["cat", "dog", "bird"], "_type": "ClassLabel"}, "_type": "List"}}
    table = pyarrow.table({"image": [{"bytes": pgm(level), "path": None} for level in (1, 2, 3, 4)], "labels": [[0, 2], [], [1], [2]],
                           "tags": [["y", "x"], ["x"], [], ["z"]], "joined": ["b | a", "a", "", "c"],
                           "sun": [1, 0, 1, 0], "rain": [True, False, False, True], "odd": [0, 1, 2, 0]})
    pyarrow.parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}),
                                os.path.join(folder, "several.parquet"))


def classes():
    """Columns of classes, and beside them the rows that text is made of: names, but numbers where they say which choice is right."""
    made = {"classes": ({"question": ["a", "b"], "answer": [0, 1], "other": [-1, 0]}, {"answer": ["neg", "pos"], "other": ["x"]}),
            "classes-choices": ({"question": [0, 1], "choices": [["1", "0"], ["x", "y"]], "answer": [0, 1]}, {"question": ["Who?", "What?"]})}
    for name, (columns, names) in made.items():
        features = {"info": {"features": {c: {"names": n, "_type": "ClassLabel"} for c, n in (names | {"none": []}).items()}}}
        if name == "classes-choices":
            features["info"]["features"]["answer"] = {"names": ["A", "B"], "_type": "ClassLabel"}
        table = pyarrow.table(columns).replace_schema_metadata({"huggingface": json.dumps(features)})
        pyarrow.parquet.write_table(table, os.path.join(OUT, name + ".parquet"))
        for c, n in names.items():
            columns[c] = [n[i] if i >= 0 else None for i in columns[c]]
        with open(os.path.join(OUT, name + ".jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(dict(zip(columns, row))) + "\n" for row in zip(*columns.values()))


def main():
    os.makedirs(OUT, exist_ok=True)
    for version, page in (("v1", "1.0"), ("v2", "2.0")):
        for codec in ("none", "snappy", "gzip", "zstd"):
            write(f"flat-{version}-{codec}", flat(random.Random(1)).select(["text", "few", "i32", "truth"]), "flat", data_page_version=page, compression=codec)
        write(f"types-{version}", flat(random.Random(2)), "types", data_page_version=page, use_dictionary=False, compression="snappy")
        write(f"types-{version}-dictionary", flat(random.Random(2)), "types", data_page_version=page, compression="zstd", write_page_checksum=True)
        write(f"nested-{version}", nested(random.Random(4)), "nested", data_page_version=page, compression="zstd", use_dictionary=False)
        write(f"nested-{version}-dictionary", nested(random.Random(4)), "nested", data_page_version=page, compression="snappy", row_group_size=1000)
    # a dictionary that grew too large: plain pages follow those that use it
    write("fallback", pyarrow.table({"text": pyarrow.array([f"text number {i} of many" for i in range(300)])}), dictionary_pagesize_limit=600,
          row_group_size=150, compression="zstd")
    encodings = {"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "required": "DELTA_LENGTH_BYTE_ARRAY",
                 "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT", "truth": "RLE", "u32": "BYTE_STREAM_SPLIT", "f16": "BYTE_STREAM_SPLIT"}
    for version, page in (("v1", "1.0"), ("v2", "2.0")):
        write(f"encodings-{version}", flat(random.Random(6)).select(list(encodings)), "encodings", data_page_version=page, use_dictionary=False,
              column_encoding=encodings, compression="zstd")
    # one page a row group: rows of thousands, as larger files have
    n = 1100
    write("one-page", pyarrow.table({"i": list(range(n)), "text": [f"row {i % 50}" for i in range(n)]}), row_group_size=1000,
          data_page_size=1 << 20, write_batch_size=1024, compression="zstd")
    write("legacy", nested(random.Random(7)).select(["messages", "list"]), use_compliant_nested_type=False, compression="zstd")
    write("small", nested(random.Random(10)).select(["messages", "choices", "list", "deep"]).slice(0, 8), compression="zstd", row_group_size=5)
    write("odd", odd(random.Random(8)), left_out=("binary", "date", "time", "decimal", "map", "in_list"), compression="zstd")
    write("empty", flat(random.Random(9)).slice(0, 0).select(["text", "i32"]))
    # what `datasets` itself writes
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"]),
                                  "choices": datasets.Sequence({"text": datasets.Value("string"), "label": datasets.Value("string")})})
    made = datasets.Dataset.from_dict({"text": ["one", "two", "three"], "label": [0, 1, 1],
                                       "choices": [{"text": ["a", "b"], "label": ["A", "B"]}] * 3}, features=features)
    made.to_parquet(os.path.join(OUT, "hub.parquet"))
    expect("hub", "hub")
    chat = [[{"role": "system", "content": "Be short."}, {"role": "user", "content": f"What is {i} + {i}?"},
             {"role": "assistant", "content": f"{2 * i}"}][i % 2:] for i in range(5)]
    write("chat", pyarrow.table({"id": list(range(5)), "messages": chat}), row_group_size=2, compression="zstd")
    arc = {"question": ["Which one is blue?", "Which one is hot?"], "choices": [{"text": ["grass", "the sky"], "label": ["A", "B"]},
                                                                                {"text": ["ice", "snow", "fire"], "label": ["1", "2", "3"]}],
           "answerKey": ["B", "3"]}
    write("arc", pyarrow.table(arc), compression="snappy")
    pictures()
    classes()
    for codec in ("brotli", "lz4"):
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), os.path.join(OUT, f"refused-{codec}.parquet"), compression=codec)
    print(f"pyarrow {pyarrow.__version__}, datasets {datasets.__version__}")


main()
