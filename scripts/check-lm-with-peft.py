#!/usr/bin/env python3
"""Checks by transformers and PEFT what lora-ft writes for language models. Needs torch, transformers, peft; the tests do not run it.

usage: check-lm-with-peft.py LORA_FT [GOLDEN=tests/golden [MODEL...]]

For each tiny model of make-golden-lm.py, with a tokenizer of single letters beside it, and for each of WAYS to make an adapter:
1. `lora-ft train` makes an adapter, which loads in PEFT without a word about missing or unexpected keys (or fan_in_fan_out) and
   gives `lora-ft eval`'s loss on the same texts. With added_tokens the model is resized before to the tokenizer beside the adapter,
   which encodes the texts as it should.
2. The model that `lora-ft merge` writes loads in transformers without such a word, tied as before unless the embedding or the output
   layer was trained whole or carries an adapter, and gives the same loss.
The limit is a relative difference of 1e-4 for the adapter; the merged weights are rounded to the type of the model's file, so that
the merged model is compared with --save_dtype fp32.
"""
import json, math, os, random, shutil, sys, tempfile
import torch
from peft import PeftModel
from peft_common import finish, is_close, quiet, run, said_by
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as hf_logging

NEW = ["<tool>", "<end of it>"]  # beyond the model's vocabulary, which its tokenizer fills then
ENDS = ["--target_modules", ".*(embed_tokens|wte)|lm_head"]
WAYS = [("true", []), ("intermediate", []), ("intermediate", ["--bias", "all"]), ("true", ["--bias", "lora_only"]),
        ("true", ["--use_dora", "true"]), ("true", ENDS), ("intermediate", ENDS),
        ("true", ["--modules_to_save", "EMBEDDING,lm_head,NORM"]), ("true", ["--modules_to_save", "lm_head"]),
        ("intermediate", ["--added_tokens", ",".join(NEW)]),
        ("intermediate", ["--bias", "all", "--modules_to_save", "EMBEDDING,layers.0.self_attn.k_proj,layers.1.mlp"])]
NAMES = {"EMBEDDING": "embed_tokens", "NORM": "norm"}
OTHER_NAMES = {"gpt2": {"EMBEDDING": "wte", "NORM": "ln_f", "layers.0.self_attn.k_proj": "h.0.attn.c_attn", "layers.1.mlp": "h.1.mlp"},
               "phi3": {"layers.0.self_attn.k_proj": "layers.0.self_attn.qkv_proj"}}
LETTERS = "abcdefghijklmnopqrstuvwxyz ."


def prepare(source, folder, grows):
    """The model with a tokenizer; texts, with new tokens if it grows; their ids."""
    model = os.path.join(folder, "model")
    shutil.copytree(source, model, ignore=shutil.ignore_patterns("golden.safetensors", "peft_adapter"))
    words = ["<unk>"] + list(LETTERS)
    if grows:
        words += [f"{i}" for i in range(len(words), json.load(open(os.path.join(source, "config.json")))["vocab_size"])]
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(words)}, merges=[], unk_token="<unk>"))
    tokenizer.save(os.path.join(model, "tokenizer.json"))
    random.seed(7)
    texts = ["".join(random.choice(LETTERS) for _ in range(random.randint(5, 30))) for _ in range(24)]
    if grows:
        texts = [NEW[0] + t[:25] + NEW[1] for t in texts]
        tokenizer.add_tokens(NEW)
    data = os.path.join(folder, "texts.jsonl")
    with open(data, "w") as f:
        f.writelines(json.dumps({"text": t}) + "\n" for t in texts)
    return model, data, [tokenizer.encode(t).ids for t in texts]


def loss_by_transformers(model, texts):
    total, n = 0.0, 0
    with torch.no_grad():
        for ids in sorted(texts, key=len):  # with rope_type dynamic, transformers turns a text as the longest one before it
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
            total += torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum").item()
            n += len(ids) - 1
    return total / n


def loss_by_us(program, *arguments):
    result = json.loads(run(program, "eval", "--json", "--max_seq_length", "32", *arguments))
    return math.log(result["eval_perplexity"])


def compare(what, a, b):
    difference = abs(a - b) / abs(b)
    return is_close(f"  {what}", f"loss {a:.6f} and {b:.6f}, difference {difference:.1e}", difference)


def base_of(path, tokens=0):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    if tokens:
        model.resize_token_embeddings(tokens, mean_resizing=False)
    return model


def spelled(source, more):
    """The names of this family's modules."""
    kind = json.load(open(os.path.join(source, "config.json")))["model_type"]
    for name, other in {**NAMES, **OTHER_NAMES.get(kind, {})}.items():
        more = [word.replace(name, other) for word in more]
    return more


def check(program, source, start, more):
    more = spelled(source, more)
    grows = "--added_tokens" in more
    unties = grows or any(name in word for word in more for name in ("embed_tokens", "wte", "lm_head"))
    with tempfile.TemporaryDirectory() as folder:
        model, data, texts = prepare(source, folder, grows)
        out, merged = os.path.join(folder, "run"), os.path.join(folder, "merged")
        run(program, "train", "--model", model, "--train_data", data, "--output_dir", out, "--max_steps", "8", "--r", "4", "--lora_alpha", "8",
            "--learning_rate", "5e-3", "--init_lora_weights", start, "--max_seq_length", "32", "--per_device_train_batch_size", "4", *more)
        adapter = os.path.join(out, "adapter")
        config = json.load(open(os.path.join(adapter, "adapter_config.json")))
        ours = loss_by_us(program, "--model", model, "--adapter", adapter, "--data", data)
        tokens, ok = 0, True
        if grows:  # what a user of PEFT does before the adapter is loaded
            tokenizer = AutoTokenizer.from_pretrained(adapter)
            tokens = len(tokenizer)
            ok = [tokenizer.encode(json.loads(line)["text"]) for line in open(data)] == texts
        tuned, said = said_by(lambda: PeftModel.from_pretrained(base_of(model, tokens), adapter).eval())
        ok &= quiet(said) & compare("adapter in PEFT", loss_by_transformers(tuned, texts), ours)
        ok &= abs(ours - loss_by_transformers(base_of(model, tokens).eval(), texts)) > 1e-2  # it has learned something
        ok &= config["task_type"] == "CAUSAL_LM" and "AutoModelForCausalLM" in open(os.path.join(adapter, "README.md")).read()
        run(program, "merge", "--model", model, "--adapter", adapter, "-o", merged, "--save_dtype", "fp32")
        again, said = said_by(lambda: base_of(merged).eval())
        ok &= quiet(said) & compare("merged in transformers", loss_by_transformers(again, texts), ours)
        ok &= again.config.tie_word_embeddings == (base_of(model).config.tie_word_embeddings and not unties)
        return ok


def main():
    program, golden = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "tests/golden"
    hf_logging.set_verbosity_warning()
    hf_logging.disable_progress_bar()
    ok = True
    for name in sorted(n for n in os.listdir(golden) if n.startswith("lm-") and os.path.isdir(os.path.join(golden, n))):
        for start, more in WAYS if len(sys.argv) < 4 or name in sys.argv[3:] else ():
            print(name, start, *more)
            ok &= check(program, os.path.join(golden, name), start, more)
    finish(ok)


main()
