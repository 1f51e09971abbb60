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


COPY, INT8, NF4, BF16, COMPUTE, OTHER_FILES = 4, 8, 16, 32, 64, 128
NOTHING, FROZEN, TRAINED = 0, 1, 2
TRAINING, NEW_HEAD, OWN_HEAD, OUTLINE, PREPARED, CHECKPOINTED, LETS_GO = 1, 2, 4, 8, 16, 32, 64


def golden_model(name):
    """config.json without what only says who wrote it, and the tensors' shapes."""
    folder = os.path.join(GOLDEN, name)
    tensors = {}
    for path in sorted(glob.glob(os.path.join(folder, "model*.safetensors"))):
        tensors.update({k: v["shape"] for k, v in header(path).items() if k != "__metadata__"})
    with open(os.path.join(folder, "config.json"), "rb") as file:
        config = json.load(file)
    return {k: v for k, v in config.items() if k not in ("dtype", "transformers_version")}, tensors


def one_model(config, tensors, what=FROZEN | COMPUTE, how=0, data=b"", dtype="F32", prepared=None):
    middle = [text(prepared)] if prepared is not None else []
    return bytes([what, how | (PREPARED if middle else 0)]) + parts(text(config), *middle, lines(tensors, dtype), data)


def whole_models():
    """Each golden model, as it is used."""
    for folder in sorted(glob.glob(os.path.join(GOLDEN, "*/config.json"))):
        config, tensors = golden_model(os.path.basename(os.path.dirname(folder)))
        yield one_model(config, tensors)
        yield one_model(config, tensors, TRAINED | COMPUTE | COPY, TRAINING | NEW_HEAD | OUTLINE)
        yield one_model(config, tensors, FROZEN | COMPUTE | INT8, OWN_HEAD | CHECKPOINTED | TRAINING)
    for name in ("vit-base", "lm-qwen3", "enc-bert", "lm-gemma2"):
        config, tensors = golden_model(name)
        yield one_model(config, tensors, FROZEN | COMPUTE | NF4 | COPY, LETS_GO)
        yield one_model(config, tensors, FROZEN | COMPUTE | BF16, LETS_GO, dtype="BF16")
        yield one_model(config, tensors, NOTHING, OUTLINE, dtype="F16")
        yield one_model(config, tensors, data=b"\0\0\xc0\x7f")
        yield one_model(config, tensors, dtype="I32")
        yield one_model(config, dict(list(tensors.items())[:-1]))
        yield one_model(config, dict(tensors, more=[1]))
        yield one_model(config, {k: v[::-1] for k, v in tensors.items()})
        yield one_model(dict(config, num_labels=3, id2label=None), {k: v for k, v in tensors.items() if not k.startswith(("classifier", "lm_head"))}, FROZEN | COMPUTE, NEW_HEAD | TRAINING)
    for name, size in (("vit-base", 16), ("dinov2-tiny", 28), ("dinov2-registers", 40), ("siglip-tiny", 24), ("beit-tiny", 32)):
        config, tensors = golden_model(name)
        for prepared in ({"size": {"height": size, "width": 2 * size}}, {"size": size}, {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}, {"crop_size": size, "do_center_crop": True, "size": {"shortest_edge": 9}},
                         {"size": {"height": 7, "width": 7}}, {"size": "x"}, [], 3):
            yield one_model(config, tensors, prepared=prepared)


ROPES = [{"rope_scaling": {"rope_type": "linear", "factor": 2}}, {"rope_scaling": {"type": "linear"}}, {"rope_scaling": {"rope_type": "dynamic", "factor": 2}}, {"rope_scaling": {"rope_type": "dynamic", "factor": 0.5}},
         {"rope_scaling": {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 8, "truncate": False}}, {"rope_scaling": {"rope_type": "yarn", "mscale": 1, "mscale_all_dim": 2, "beta_fast": 0}},
         {"rope_scaling": {"rope_type": "yarn", "factor": -1}}, {"rope_scaling": {"rope_type": "llama3", "factor": 2, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8}},
         {"rope_scaling": {"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 1}}, {"rope_scaling": {"rope_type": "longrope", "short_factor": [1] * 4, "long_factor": [2] * 4}},
         {"rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": "x"}}, {"rope_scaling": {"rope_type": "x"}}, {"rope_scaling": {"a": {}}}, {"rope_scaling": 3}, {"rope_theta": 1}, {"rope_theta": "x"},
         {"rope_parameters": {"rope_theta": 100, "rope_type": "linear", "factor": 2}}, {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 3}, "sliding_attention": {"rope_theta": 50}}},
         {"rope_parameters": {"full_attention": 3}}, {"rope_parameters": {"other": {}}}, {"partial_rotary_factor": 0.5}, {"partial_rotary_factor": 0}, {"original_max_position_embeddings": 0},
         {"rope_scaling": {"rope_type": "linear", "factor": 2}, "rope_parameters": {"full_attention": {"rope_theta": 500}}}]
WORDS_OF_ALL = [{"hidden_size": 7}, {"num_attention_heads": 5}, {"num_attention_heads": 0}, {"num_key_value_heads": 3}, {"head_dim": 3}, {"head_dim": 1 << 15}, {"vocab_size": 10 ** 9}, {"vocab_size": None}, {"hidden_size": -1}, {"num_hidden_layers": 1},
                {"num_hidden_layers": 2000}, {"hidden_act": "x"}, {"hidden_act": 3}, {"rms_norm_eps": 0}, {"layer_norm_eps": 2}, {"attention_dropout": 1}, {"tie_word_embeddings": 3}, {"attention_bias": True, "mlp_bias": True},
                {"layer_types": ["x"]}, {"layer_types": ["sliding_attention"] * 2}, {"layer_types": ["full_attention"] * 2, "sliding_window": 4}, {"layer_types": "x"}, {"sliding_window": 2, "use_sliding_window": True, "max_window_layers": 1},
                {"sliding_window": None}, {"sliding_window": 0}, {"quantization_config": {"bits": 4}}, {"id2label": {"0": "a", "1": 2}}, {"id2label": {"x": "a"}}, {"id2label": {}}, {"num_labels": 0}, {"num_labels": 10 ** 9},
                {"problem_type": "regression"}, {"problem_type": "multi_label_classification"}, {"problem_type": "x"}, {"pad_token_id": "x"}, {"pad_token_id": 3}, {"architectures": ["XForTokenClassification"]},
                {"architectures": ["XForMaskedLM"]}, {"architectures": ["XForQuestionAnswering"]}, {"max_position_embeddings": 4}, {"max_position_embeddings": 0}, {"query_pre_attn_scalar": -1}, {"initializer_range": "x"}]
OWN_WORDS = {
    "lm-dynamic": [{"max_position_embeddings": 4}, {"max_position_embeddings": 2}],
    "lm-smollm3": [{"no_rope_layers": [0, 1]}, {"no_rope_layers": [1, 0, 1, 0, 1, 0]}, {"no_rope_layers": [2] * 9}, {"no_rope_layers": 3}, {"no_rope_layers": None, "no_rope_layer_interval": 2}, {"no_rope_layer_interval": 0}],
    "lm-gemma2": [{"attn_logit_softcapping": None, "final_logit_softcapping": None}, {"attn_logit_softcapping": -1}, {"use_bidirectional_attention": True}], "lm-gemma3": [{"sliding_window_pattern": 2, "layer_types": None}],
    "lm-granite": [{"logits_scaling": 0}, {"residual_multiplier": -1}], "lm-phi3": [{"rope_scaling": {"type": "su", "short_factor": [1] * 99, "long_factor": [1] * 99}}, {"resid_pdrop": 0.5}],
    "lm-gpt2": [{"n_inner": 8}, {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False}, {"add_cross_attention": True}, {"n_positions": 3}, {"n_head": 3}, {"activation_function": "relu"}, {"summary_type": "mean"}],
    "enc-bert": [{"position_embedding_type": "relative_key"}, {"is_decoder": True}, {"type_vocab_size": 1}, {"type_vocab_size": 0}, {"classifier_dropout": 0.3}, {"hidden_dropout_prob": 1}, {"add_cross_attention": True}],
    "enc-roberta": [{"max_position_embeddings": 2}, {"pad_token_id": None}, {"pad_token_id": -1}, {"pad_token_id": 500}], "enc-distilbert": [{"sinusoidal_pos_embds": True}, {"dim": 6}, {"n_heads": 5}, {"seq_classif_dropout": 1}],
    "enc-modernbert": [{"local_attention": 1}, {"global_attn_every_n_layers": 1}, {"classifier_pooling": "x"}, {"classifier_pooling": "mean"}, {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True, "decoder_bias": False},
                       {"embedding_dropout": 0.1, "mlp_dropout": 0.1, "classifier_dropout": 0.1}, {"sparse_prediction": True}, {"deterministic_flash_attn": True}, {"global_rope_theta": 1}],
    "vit-base": [{"image_size": [16, 8]}, {"image_size": [16]}, {"image_size": 0}, {"image_size": 15}, {"patch_size": [4, 8]}, {"patch_size": 5}, {"num_channels": 9}, {"num_channels": 1}, {"qkv_bias": False}, {"image_size": 16384, "patch_size": 1}],
    "beit-tiny": [{"use_relative_position_bias": True, "use_shared_relative_position_bias": True}, {"use_absolute_position_embeddings": True}, {"use_mean_pooling": False}, {"use_mask_token": True}, {"drop_path_rate": 1}, {"layer_scale_init_value": 0},
                  {"use_relative_position_bias": False}, {"image_size": [32, 16]}], "dinov2-tiny": [{"use_swiglu_ffn": True}, {"mlp_ratio": 0}, {"use_mask_token": False}, {"image_size": [28, 14]}, {"apply_layernorm": False}],
    "dinov2-registers": [{"num_register_tokens": 0}, {"num_register_tokens": 1}], "clip-tiny": [{"vision_config": 3}, {"vision_config": None}, {"vision_config_dict": {}}, {"projection_dim": 0}], "siglip-tiny": [{"vision_use_head": False}, {"vision_config": {}}]}


def changed_models():
    """Their config.json with other words."""
    for name in ("lm-llama", "lm-qwen3", "lm-smollm3", "lm-gemma3"):
        config, tensors = golden_model(name)
        for change in ROPES:
            yield one_model(dict({k: v for k, v in config.items() if not k.startswith("rope")}, **change), tensors, FROZEN | COMPUTE, OUTLINE)
    for name in ("lm-qwen3", "enc-bert", "vit-base", "lm-gemma2", "enc-modernbert"):
        config, tensors = golden_model(name)
        for change in WORDS_OF_ALL:
            yield one_model(dict(config, **change), tensors, FROZEN | COMPUTE, OUTLINE)
    for name, changes in OWN_WORDS.items():
        config, tensors = golden_model(name)
        for change in changes:
            yield one_model(dict(config, **change), tensors, FROZEN | COMPUTE, OUTLINE | TRAINING)
            if isinstance(config.get("vision_config"), dict) and "vision_config" not in change:
                yield one_model(dict(config, vision_config=dict(config["vision_config"], **change)), tensors, FROZEN | COMPUTE, OUTLINE | TRAINING)
    for config in ({"model_type": "mamba"}, {"model_type": 3}, {}, [], {"architectures": ["X"]}, {"_class_name": "UNet"}, {"model_type": "clip_vision_model"}, {"peft_type": "LORA"}, {"crop_pct": 0.9, "architecture": "vit_base_patch16_224"}):
        yield one_model(config, {"x": [1]}, how=OUTLINE)
    yield bytes([FROZEN, OUTLINE]) + parts(b"[", "x F32 1")


def other_folders():
    """Where a model was expected."""
    def folder(*names, **files):
        every = {**{name: b"{}" for name in names}, **{k.replace("__", "."): v for k, v in files.items()}}
        return bytes([FROZEN | OTHER_FILES, 0]) + b"\0".join(name.encode() + b"\n" + body for name, body in every.items())

    for name in ("adapter_config.json", "lora_ft.json", "all_results.json", "metrics.jsonl", "snapshots/x/config.json", "model_index.json", "open_clip_config.json", "params.json", "x.gguf", "checkpoint-3/x", "models--a--b/x", "0_Transformer/x",
                 "saved_model.pb", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "file.gguf", "other"):
        yield folder(name)
    for config in (b"{}", b'{"architectures": ["GPT2LMHeadModel"]}', b'{"architectures": ["a; b"]}', b'{"architectures": ["3"]}', b"{"):
        yield folder("pytorch_model.bin", config__json=config)
        yield folder("pytorch_model.bin.index.json", "model.safetensors.index.json", config__json=config)
    yield folder("config.json/x")
    yield folder()


def model():
    for kind in (whole_models, changed_models, other_folders):
        yield from kind()


SEEDS = {"fuzz_safetensors": safetensors, "fuzz_adapter": adapter, "fuzz_model": model}
