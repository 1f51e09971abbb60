#!/usr/bin/env python3
"""Asks of every key of a model's config.json: do we follow it, refuse it, or know that it does not matter?

    check-config-keys.py [--program build/tests/model-numbers] [--verbose] [FAMILY...]

For each family of src/model/families.def, transformers writes a small random model; then one key after the other of its
configuration class is set to something else in config.json, the weights staying. What we compute (the program, built with the
tests) must then change to what transformers computes, or stay as it is where that of transformers stays, or the model must be
refused by a message with the name of the key. Keys that have no such effect have their reason in NO_MATTER. What is none of
these is printed, and the exit status is 1. To see that it cries: let a reader misspell a key, and build. Needs torch and
transformers."""
import argparse
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings

import torch
import transformers

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
ROOT = pathlib.Path(__file__).resolve().parent.parent
B, T = 2, 24

TEXT = dict(vocab_size=61, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
            max_position_embeddings=64, initializer_range=0.3, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LM = dict(TEXT, num_key_value_heads=2, tie_word_embeddings=False)
ENCODER = dict(TEXT, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
PICTURE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=4,
               initializer_range=0.3, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
TOWER = {k: v for k, v in PICTURE.items() if "dropout" not in k and k != "num_labels"}
WHOLE = dict(vision_config=TOWER, text_config=dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, vocab_size=64),
             num_labels=3)
# Their file is that of a tower of another family, under the same keys.
TOWERS = {"clip_vision_model": "clip", "siglip_vision_model": "siglip"}
CAUSAL, CLASSES, MASKED, PICTURES = ("AutoModelForCausalLM", "AutoModelForSequenceClassification", "AutoModelForMaskedLM",
                                     "AutoModelForImageClassification")
# model_type: the sizes of a small one, and the classes whose files are made
FAMILIES = {
    "vit": (PICTURE, [PICTURES]),
    "deit": (dict(PICTURE, architectures=["DeiTForImageClassification"]), [PICTURES]),
    "dinov2": (PICTURE, [PICTURES]),
    "beit": (PICTURE, [PICTURES]),
    "dinov2_with_registers": (PICTURE, [PICTURES]),
    "clip": (WHOLE, [PICTURES]),
    "siglip": (WHOLE, [PICTURES]),
    "llama": (LM, [CAUSAL]),
    "mistral": (dict(LM, sliding_window=5, head_dim=8), [CAUSAL]),
    "qwen2": (LM, [CAUSAL]),
    "qwen3": (dict(LM, head_dim=8), [CAUSAL]),
    "smollm3": (dict(LM, use_sliding_window=False), [CAUSAL]),
    "olmo2": (LM, [CAUSAL]),
    "phi3": (LM, [CAUSAL]),
    "granite": (LM, [CAUSAL]),
    "gemma2": (dict(LM, head_dim=8, query_pre_attn_scalar=8, sliding_window=5), [CAUSAL]),
    "gemma3_text": (dict(LM, head_dim=8, query_pre_attn_scalar=8, sliding_window=5), [CAUSAL]),
    "gpt2": (dict(vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3, resid_pdrop=0.0, embd_pdrop=0.0,
                  attn_pdrop=0.0, bos_token_id=1, eos_token_id=2), [CAUSAL]),
    "bert": (ENCODER, [CLASSES, MASKED]),
    "roberta": (dict(ENCODER, type_vocab_size=1, pad_token_id=1), [CLASSES, MASKED]),
    "xlm-roberta": (dict(ENCODER, type_vocab_size=1, pad_token_id=1), [CLASSES]),
    "distilbert": (dict(vocab_size=61, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=64, initializer_range=0.3,
                        dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, num_labels=3), [CLASSES, MASKED]),
    "modernbert": (dict(TEXT, num_labels=3, local_attention=6, cls_token_id=1, sep_token_id=2), [CLASSES, MASKED]),
}

OUTPUT = "how transformers' forward answers, not what it computes"
GENERATION = "generating: read by eval/ending_ids.c or given to the tool by its own keys"
NO_MATTER = {
    "output_hidden_states": OUTPUT, "output_attentions": OUTPUT, "return_dict": OUTPUT, "use_cache": OUTPUT,
    "transformers_version": "who wrote the file", "_name_or_path": "where the file was", "name_or_path": "where the file was",
    "model_type": "which family it is: another one is another model", "architectures": "read for the task; the tensors say what is there",
    "dtype": "the file's tensors have their own types; computing is asked for by --precision",
    "torch_dtype": "the older name of dtype",
    "chunk_size_feed_forward": "memory of transformers' forward: the same numbers",
    "initializer_range": "of new weights: a new head's start is the same as transformers' where it is read; no effect on what is there",
    "bos_token_id": "the tokenizer's is taken", "eos_token_id": GENERATION, "cls_token_id": "the tokenizer's is taken",
    "sep_token_id": "the tokenizer's is taken", "decoder_start_token_id": GENERATION,
    "is_encoder_decoder": "transformers' own bookkeeping: no class of these families has a second half",
    "label2id": "the inverse of id2label, which is read", "num_labels": "how many id2label has",
    "encoder_stride": "of masked picture modelling, another head",
    "apply_layernorm": "of a backbone, another class", "reshape_hidden_states": "of a backbone, another class",
    "out_features": "of a backbone, another class", "out_indices": "of a backbone, another class", "stage_names": "of a backbone, another class",
    "add_fpn": "of a backbone, another class", "pool_scales": "of segmentation, another head", "semantic_loss_ignore_index": "of segmentation, another head",
    "use_auxiliary_head": "of segmentation, another head", "auxiliary_loss_weight": "of segmentation, another head",
    "auxiliary_channels": "of segmentation, another head", "auxiliary_num_convs": "of segmentation, another head",
    "auxiliary_concat_input": "of segmentation, another head", "vocab_size of beit": "of masked picture modelling, another head",
    "pooler_output_size": "of a pooler that no classifier has", "layerscale_value": "of new weights", "layer_scale_init_value": "of new weights, if it is above 0",
    "initializer_factor": "of new weights", "projection_dim": "of the projection beside text, which no classifier has",
    "embd_pdrop of phi3": "no class of transformers reads it", "qa_dropout": "of the head that answers questions",
    "summary_first_dropout": "of GPT2DoubleHeadsModel, another head",
    "pretraining_tp": "slices of products, for the same numbers",
}

# What is said where config.json asks for other tensors than the file has.
MISFITS = ["are the two files from one checkpoint?", "is missing (config.json asks for it)", "belongs to no part of the model that", "one for each layer"]
LISTS = {
    "hidden_act": ["relu", "silu", "gelu_new", "quick_gelu"], "hidden_activation": ["relu", "silu"], "activation": ["relu"],
    "activation_function": ["relu"], "pooler_act": ["relu"], "position_embedding_type": ["relative_key", "rotary"],
    "problem_type": ["regression", "multi_label_classification", "nonsense"], "id2label": [{"0": "x", "1": "y", "2": "z"}],
    "label2id": [{"x": 0, "y": 1, "z": 2}], "rope_scaling": [{"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0}],
    "rope_theta": [50.0], "max_position_embeddings": [128, 32], "n_positions": [128], "summary_activation": ["tanh"], "head_dim": [16, 4], "classifier_pooling": ["mean"], "attn_implementation": ["eager"],
    "num_key_value_heads": [4, 1], "num_attention_heads": [2, 8], "n_head": [2, 8], "n_heads": [2, 8],
    "sliding_window": [3], "layer_types": [["full_attention"] * 4, ["sliding_attention"] * 4], "image_size": [20, 32],
    "no_rope_layers": [[0, 0, 1, 1], [1, 1, 1, 1]], "patch_size": [8, 2],
    "rope_parameters": [{"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}, {"rope_type": "default", "rope_theta": 50.0},
                        {"rope_type": "yarn", "factor": 2.0, "rope_theta": 10000.0, "original_max_position_embeddings": 8}],
}


NO_VALUE = "a value that transformers does not take"


def others(key, value):
    """Values that the key does not have."""
    if key in LISTS:
        return [v for v in LISTS[key] if v != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value * 2, value + 1, 1] if value else [3]
    if isinstance(value, float):
        return [min(value * 2 + 0.25, 0.5) if "drop" in key else value * 2 + 0.25]
    if isinstance(value, str):
        return ["something"]
    if isinstance(value, list):
        return [value[::-1], value[:-1]] if value else [[1]]
    return [{"x": 1}] if isinstance(value, dict) else [0.25, 3, True, "something"]


class Program:
    def __init__(self, path):
        self.p = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, folder):
        self.p.stdin.write(f"{folder}\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        return json.loads(line) if line else sys.exit(f"{folder}: the program ended")


def sums(t):
    t = t.detach().double().flatten()
    return [t.sum().item(), (t * torch.cos(0.1 * torch.arange(t.numel(), dtype=torch.double))).sum().item()]


def theirs(folder, name):
    """What transformers computes; None: it does not."""
    try:
        m = getattr(transformers, name).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        c = getattr(m.config, "vision_config", m.config)
        with torch.no_grad():
            if name == PICTURES:
                h, w = c.image_size if isinstance(c.image_size, (list, tuple)) else (c.image_size, c.image_size)
                n = B * c.num_channels * h * w
                pixels = torch.sin(0.37 * torch.arange(n, dtype=torch.double)).float().reshape(B, c.num_channels, h, w)
                return sums(m(pixel_values=pixels, return_dict=True).logits)
            ids = torch.tensor([(i * 7 + 5) % 61 for i in range(B * T)]).reshape(B, T)
            return sums(m(input_ids=ids, attention_mask=torch.ones_like(ids), return_dict=True).logits)
    except Exception:
        return None


def close(a, b, tolerance=2e-3):
    return a is not None and b is not None and len(a) == len(b) and all(abs(x - y) <= tolerance * (1 + abs(x)) for x, y in zip(a, b))


def keys_of(config):
    fields = {f.name for f in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else set()
    return sorted({k for k in fields | set(config.to_dict()) if not k.startswith("_")})


class Case:
    """One small model, and what both compute of it."""

    def __init__(self, folder, family, name, program):
        sizes = FAMILIES[family][0]
        config = transformers.AutoConfig.for_model(family, **sizes)
        torch.manual_seed(0)
        model = getattr(transformers, name).from_config(config, dtype=torch.float32)
        for p in model.parameters():  # no bias is zero, no norm is one
            p.data += 0.1 * torch.randn_like(p)
        model.save_pretrained(folder)
        self.family, self.folder, self.name, self.program, self.keys = family, folder, name, program, keys_of(config)
        self.path = folder / "config.json"
        self.json, self.all = json.loads(self.path.read_text()), config.to_dict()
        self.part = "vision_config" if "vision_config" in self.json else None
        if self.part:  # what is asked for stands there
            self.all, self.keys = self.all[self.part], keys_of(config.vision_config)
        self.ours, self.theirs = program.ask(folder), theirs(folder, name)

    def numbers(self, answer):
        n = answer.get("numbers") or []
        return n[:2] if self.name in (CAUSAL, MASKED) else n[-2:]

    def judge(self, key, value):
        """What setting the key does, and whether that is as it should be."""
        changed = {self.part: {**self.json[self.part], key: value}} if self.part else {key: value}
        self.path.write_text(json.dumps({**self.json, **changed}))
        ours, their_numbers = self.program.ask(self.folder), theirs(self.folder, self.name)
        self.path.write_text(json.dumps(self.json))
        if "error" in ours:
            if any(form in ours["error"] for form in MISFITS):
                return "the tensors do not fit it", True
            named = re.search(rf"\b{re.escape(key)}\b", ours["error"]) is not None
            return "refused" if named else "refused without the name of the key: " + ours["error"][-200:], named
        now, before = self.numbers(ours), self.numbers(self.ours)
        if their_numbers is None:
            return "followed, where transformers fails" if ours != self.ours else NO_VALUE, True
        if close(their_numbers, self.theirs, 1e-5):
            if close(now, before, 1e-5):
                return ("followed" if ours != self.ours else "no effect in transformers either"), True
            return f"changes what we compute, but not what transformers computes ({value!r})", False
        if now == before:
            return f"changes what transformers computes, but not what we compute ({value!r})", False
        return ("followed" if close(now, their_numbers) else f"followed otherwise than by transformers ({value!r})"), close(now, their_numbers)


DROPS_NOTHING = "drops nothing in training"


def check(case, verbose):
    wrong = []
    if "error" in case.ours or not close(case.numbers(case.ours), case.theirs):
        return [("(the model itself)", str(case.ours.get("error", f"{case.numbers(case.ours)}, transformers: {case.theirs}")))]
    for key in case.keys:
        if key in NO_MATTER or f"{key} of {case.family}" in NO_MATTER:
            continue
        results = [case.judge(key, value) for value in others(key, case.all.get(key))]
        bad = [text for text, good in results if not good]
        taken = [text for text, _ in results if text != NO_VALUE]
        if "drop" in key and taken and all(text.startswith("no effect") for text in taken):
            bad.append(DROPS_NOTHING)
        if all(text == NO_VALUE for text, _ in results):
            bad.append("no other value for it is known; add one to LISTS")
        if bad:
            wrong.append((key, "; ".join(bad)))
        if verbose:
            print(f"    {key}: {', '.join(sorted({text for text, _ in results}))}")
    return wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("families", nargs="*")
    p.add_argument("--program", default=str(ROOT / "build/tests/model-numbers"))
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    known = re.findall(r"LF_FAMILY\((\w+)\)", (ROOT / "src/model/families.def").read_text())
    program, count = Program(args.program), 0
    for family in args.families or [k if k in FAMILIES or k in TOWERS else k.replace("_", "-") for k in known]:
        if family in TOWERS:
            print(f"{family}: the tower of {TOWERS[family]}")
            continue
        if family not in FAMILIES:
            print(f"{family}: no line in this script's FAMILIES")
            count += 1
            continue
        dropping = []  # by each class: of a head that one has, another need not know
        for name in FAMILIES[family][1]:
            with tempfile.TemporaryDirectory() as folder:
                case = Case(pathlib.Path(folder), family, name, program)
                wrong = check(case, args.verbose)
            dropping.append({key for key, text in wrong if text == DROPS_NOTHING})
            wrong = [w for w in wrong if w[1] != DROPS_NOTHING]
            print(f"{family} ({name.removeprefix('AutoModelFor')}): {len(case.keys)} keys, open: {len(wrong)}", flush=True)
            for key, text in wrong:
                print(f"  {key}: {text}")
            count += len(wrong)
        for key in sorted(set.intersection(*dropping)):
            print(f"  {family}: {key}: {DROPS_NOTHING}")
            count += 1
    sys.exit(count > 0)


main()
