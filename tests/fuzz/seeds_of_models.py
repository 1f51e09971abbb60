"""Seeds of what a model is made of: tensors, adapters, models; good ones, and broken ones of each kind. What an input's
parts are is said at the head of each target."""
import glob
import json
import os
import struct

from seeds_common import GOLDEN, lines, parts, text


# ---- tensors ----

def one_file():
    two = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
              "b": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]}}
    for one in (two, {}, {"a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}}):
        header = json.dumps(one).encode()
        header += b" " * (-len(header) % 8)
        size = max([0] + [t["data_offsets"][1] for n, t in one.items() if n != "__metadata__"])
        yield b"\0" + struct.pack("<Q", len(header)) + header + bytes(range(size))
    good = two["a"]
    for bad in ({"dtype": "F4"}, {"dtype": 3}, {"shape": [1] * 9}, {"shape": [2 ** 40, 2 ** 40]}, {"shape": [-1]}, {"shape": [1.5]}, {"shape": 3}, {"shape": [3]},
                {"data_offsets": [0]}, {"data_offsets": [0, 99]}, {"data_offsets": [8, 0]}, {"data_offsets": [-1, 15]}, {"data_offsets": "x"}, {"data_offsets": [4, 20]}):
        header = text({"a": dict(good, **bad)})
        yield b"\0" + struct.pack("<Q", len(header)) + header + bytes(16)
    for header in (b"[]", b"{", b'{"a": 1}', b'{"__metadata__": 3}', b'{"__metadata__": {"a": 1}}', b'{"a\\u0000b": {}}', b'{"": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}'):
        yield b"\0" + struct.pack("<Q", len(header)) + header + b"\0"
    for whole in (b"", b"1234", struct.pack("<Q", 99) + b"{}", struct.pack("<Q", 2 ** 62) + b"{}", struct.pack("<Q", 2) + b"{}x", b"PK\3\4 zipped tensors", b"version https://git-lfs.github.com/spec/v1\n"):
        yield b"\0" + whole
        yield b"\1" + whole
    for begins in ((8, 16), (4, 12), (0, 8)):
        header = text({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": begins}, "c": {"dtype": "F32", "shape": [2], "data_offsets": [20, 28]}})
        yield b"\0" + struct.pack("<Q", len(header)) + header + bytes(28)
    big = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    for numbers in ((1, float("nan")), (float("inf"), 1), (1, 1)):
        yield b"\1" + bytes(8) + text(big) + struct.pack("<2f", *numbers)
    for shapes in ({"F64": [1], "F16": [2, 1], "U8": [0], "BOOL": [3]}, {"I16": [1] * 8, "I32": []}):
        header, at = {}, 0
        for dtype, shape in shapes.items():
            size = {"F64": 8, "F16": 2, "U8": 1, "BOOL": 1, "I16": 2, "I32": 4}[dtype]
            for n in shape:
                size *= n
            header[dtype] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
            at += size
        body = text(header)
        yield b"\0" + struct.pack("<Q", len(body)) + body + bytes(at)


def shards():
    def folder(index, **files):
        body = b"\0".join(name.replace("__", "/").encode() + b".safetensors\n" + tensors.encode() for name, tensors in files.items())
        return b"\2" + (index if isinstance(index, bytes) else text(index)) + b"\0" + body

    two = dict(a="x F32 2\ny F32 1", b="z BF16 3")
    for map in ({"x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"}, {"x": "a.safetensors"}, {"x": "b.safetensors"}, {"q": "a.safetensors"}, {"x": "c.safetensors"}, {"x": "../a.safetensors"}, {"x": ".."}, {"x": ""},
                {"x": 3}, {}, [], 3, {"z": "b.safetensors", "y": "b.safetensors"},
                {"x": "a.safetensors", "z": "a.safetensors", "y": "b.safetensors"}):
        yield folder({"weight_map": map}, **two)
    yield folder({}, **two)
    yield folder(b"{", **two)
    yield folder(b"", **two)
    yield folder({"weight_map": {"x": "a.safetensors"}}, model="w F16 2 2")
    yield folder({"weight_map": {"x": "a.safetensors"}}, a__b="x F32 1")


def safetensors():
    yield from one_file()
    yield from shards()


# ---- adapters ----

Q, UP = "model.layers.%d.self_attn.q_proj", "model.layers.%d.mlp.up_proj"


def pair(module, out, r=2, into=4, prefix="base_model.model."):
    return {prefix + module + ".lora_A.weight": [r, into], prefix + module + ".lora_B.weight": [out, r]}


def adapter():
    plain = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none"}
    q = {**pair(Q % 0, 4), **pair(Q % 1, 4)}
    named = {k.replace(".weight", ".default.weight"): v for k, v in q.items()}
    head = {"base_model.model.score.weight": [3, 4], "base_model.model.score.bias": [3]}
    facts = {"kind": "lora", "head": "score", "id2label": {"0": "a", "1": "b", "2": "c"}, "problem_type": "single_label_classification",
             "base_hash": "0" * 32, "delta_form": True}
    tokens = {"base_model.model.model.embed_tokens.lora_embedding_A": [2, 6], "base_model.model.model.embed_tokens.lora_embedding_B": [4, 2]}

    def one(config, tensors, facts=None, data=b"", dtype="F32"):
        return parts(text(dict(plain, **config)), text(facts) if facts else b"", lines(tensors, dtype), data)

    yield one({}, q)
    yield one({}, named, dtype="BF16")
    yield one({"use_rslora": True, "lora_dropout": 0.1, "target_modules": ".*q_proj", "layers_to_transform": [0, 1]}, q, dtype="F16")
    yield one({"rank_pattern": {"up_proj": 1}, "alpha_pattern": {"layers.0.*": 3}, "target_modules": "all-linear"},
              {**q, **pair(UP % 0, 8, r=1)})
    yield one({"modules_to_save": ["score"]}, {**q, **head}, facts)
    yield one({"use_dora": True}, {**q, "base_model.model." + Q % 0 + ".lora_magnitude_vector": [4],
                                   "base_model.model." + Q % 1 + ".lora_magnitude_vector": [4]})
    yield one({"bias": "all"}, {**q, "base_model.model." + Q % 0 + ".base_layer.bias": [4], "base_model.model." + UP % 0 + ".bias": [8],
                                "base_model.model.score.original_module.bias": [3], "base_model.model.score.modules_to_save.bias": [3]})
    yield one({"bias": "lora_only"}, {**q, "base_model.model." + Q % 0 + ".base_layer.bias": [4]})
    yield one({"target_modules": ["embed_tokens", "q_proj"]}, {**q, **tokens, "base_model.model.model.embed_tokens.base_layer.weight": [6, 4]})
    yield one({"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}, {**q, "base_model.model.model.embed_tokens.weight": [7, 4],
              "base_model.model.lm_head.weight": [7, 4], "base_model.model.model.embed_tokens.original_module.weight": [6, 4],
              "base_model.model.model.embed_tokens.modules_to_save.weight": [7, 4]})
    yield one({"modules_to_save": ["norm"]}, {**q, "base_model.model.model.layers.0.norm.weight": [4]})
    yield parts(b"", text({"kind": "head", "head": "score"}), lines(head))
    # broken
    yield one({}, {k: v for k, v in q.items() if "lora_A" in k})
    yield one({"r": 3}, q)
    yield one({"r": 0}, q)
    yield one({"lora_dropout": 1}, q)
    yield one({"bias": "some"}, q)
    yield one({"bias": 1}, q)
    yield one({"modules_to_save": [1]}, q)
    yield one({"modules_to_save": ["score"]}, q)
    yield one({"modules_to_save": ["score"]}, {**q, "base_model.model.score.bias": [3]})
    yield one({"modules_to_save": ["score"]}, {**q, "base_model.model.score.weight": [3, 4], "base_model.model.score.bias": [2]})
    yield one({"modules_to_save": ["score"]}, {**q, **head}, dict(facts, id2label={"0": "a"}))
    yield one({"modules_to_save": ["score"]}, {**q, **head}, dict(facts, id2label={"0": "a", "1": 2, "2": "c"}))
    yield one({"rank_pattern": {"(": 2}}, q)
    yield one({"rank_pattern": {"(a+)+b": 2}, "alpha_pattern": {"x": -1}}, q)
    yield one({"peft_type": "IA3"}, q)
    yield one({"peft_type": None}, q)
    yield one({"init_lora_weights": "pissa"}, q)
    yield one({"init_lora_weights": 3}, q)
    yield one({"init_lora_weights": "mica", "unknown": 1, "revision": "x"}, q)
    yield one({"use_qalora": True}, q)
    yield one({"layer_replication": [[0, 1]]}, q)
    yield one({"use_dora": True}, q)
    yield one({}, {**q, "base_model.model.x.lora_B.bias": [2]})
    yield one({}, {**q, "base_model.model.x.y": [2]})
    yield one({}, {**q, **pair("model.layers.9.self_attn.q_proj", 4)})
    yield one({}, pair(Q % 0, 5))
    yield one({}, {**named, **pair(Q % 0, 4)})
    yield one({}, {"base_model.model." + Q % 0 + ".lora_A.weight": [2, 2, 1, 1]})
    for name in ("_orig_mod.x", "module.x", "x.lora_down.weight", "x.lora_a", "x"):
        yield one({}, {name: [2, 2]})
    yield one({}, q, data=b"\0\0\xc0\x7f")
    yield one({}, q, dtype="I32")
    yield one({}, {})
    yield parts(b"", text({"kind": "head"}), lines(q))
    yield parts(b"[]", b"", lines(q))
    yield parts(text(plain), b"{", lines(q))


# ---- models ----

def header(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(size))


def model():
    for name in ("vit-base", "enc-bert", "lm-gpt2", "lm-qwen3", "cls-llama-class", "beit-tiny", "enc-modernbert", "lm-gemma2", "deit-tiny"):
        folder = os.path.join(GOLDEN, name)
        tensors = {}
        for path in sorted(glob.glob(os.path.join(folder, "model*.safetensors"))):
            tensors.update({k: v["shape"] for k, v in header(path).items() if k != "__metadata__"})
        with open(os.path.join(folder, "config.json"), "rb") as file:
            config = json.load(file)
        for kind in (b"\0", b"\1"):
            yield kind + parts(text(config), lines(tensors))
        less = dict(list(tensors.items())[:-1])
        yield b"\1" + parts(text(config), lines(less))
        yield b"\0" + parts(text(dict(config, num_hidden_layers=1, vocab_size=10 ** 9, hidden_size=-1)), lines(less))
    yield b"\0" + parts(text({"model_type": "mamba"}), "x F32 1")
    yield b"\0" + parts(b"{}", "x F32 1")
    yield b"\0" + parts(b"[", "x F32 1")


SEEDS = {"fuzz_safetensors": safetensors, "fuzz_adapter": adapter, "fuzz_model": model}
