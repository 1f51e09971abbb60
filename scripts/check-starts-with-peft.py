#!/usr/bin/env python3
"""Compares where the starts that look at data begin, corda_ipm, corda_kpm, eva and lora_ga, with PEFT's.

    check-starts-with-peft.py [--lora-ft build/lora-ft] [--model MODEL] [--text FILE]

MODEL is a causal language model's folder; not given: a small random one with the tokenizer of data/verse-lm. The calibration data are
one document, the beginning of FILE, so that both see the same rows with the same weight (PEFT's CorDA divides the rows of each call
by their largest entry). The start is read from the checkpoint of one step at a learning rate of 0. Compared are: CorDA's
product B0 A0, which no sign can change; EVA's components by their angles; and LoRA-GA's directions, whose sizes PEFT chooses
otherwise, by their angles. PEFT's own code runs, but with exact decompositions in
double precision: in float the last components of CorDA are its noise, and what it finds by randomized methods is off by some per
cent. --as-it-is runs it as it is, and compares nothing.
Needs torch, transformers, peft, attrs and safetensors."""
import argparse
import contextlib
import json
import os
import pathlib
import tempfile
import warnings

import peft.tuners.lora.eva
import torch
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights
from peft.tuners.lora.config import CordaConfig, LoraGAConfig
from peft.tuners.lora.corda import preprocess_corda
from peft.tuners.lora.loraga import preprocess_loraga
from peft_common import finish, is_close, run
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()
R, ALPHA, TARGETS = 4, 8, ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
HERE = pathlib.Path(__file__).parent.parent


def random_model(folder):
    tokenizer = AutoTokenizer.from_pretrained(HERE / "data" / "verse-lm")
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                         num_key_value_heads=2, vocab_size=len(tokenizer), max_position_embeddings=512,
                                         initializer_range=0.15, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def ours(program, model, data, folder, start):
    """{module: (A0, B0)} as the checkpoint holds them; B0 None where it is zero and no start of its own."""
    out = os.path.join(folder, start)
    run(program, "train", "--model", model, "--train_data", data, "--init_lora_weights", start, "--r", str(R), "--lora_alpha", str(ALPHA),
        "--target_modules", ",".join(TARGETS), "--max_steps", "1", "--precision", "fp32",
        "--max_seq_length", "512", "--learning_rate", "0", "--save_strategy", "steps", "--save_steps", "1",
        "--per_device_train_batch_size", "1", "--calibration_samples", "1", *(["--calibration_data", data] if start == "corda_kpm" else []),
        "--output_dir", out)
    state = load_file(os.path.join(out, "checkpoint-1", "state.safetensors"))
    kind = "param" if start == "eva" else "start"
    names = [k[len(kind) + 1:-len(".lora_A")] for k in state if k.startswith(kind + ".") and k.endswith(".lora_A")]
    part = lambda name, leaf: state[f"{kind}.{name}.{leaf}"]
    return {n: (part(n, "lora_A").view(R, -1), part(n, "lora_B").view(-1, R)) for n in names}


@contextlib.contextmanager
def exactly():
    """PEFT's decompositions: in double precision, and none of them randomized."""
    to_float, lowrank, pca = torch.Tensor.float, torch.svd_lowrank, peft.tuners.lora.eva.IncrementalPCA

    def exact(m, q, niter):
        u, s, vh = torch.linalg.svd(m, full_matrices=False)
        return u[:, :q], s[:q], vh[:q].T
    torch.Tensor.float, torch.svd_lowrank = torch.Tensor.double, exact
    peft.tuners.lora.eva.IncrementalPCA = lambda **k: pca(**{**k, "lowrank": False, "lowrank_seed": None})
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    torch.Tensor.float, torch.svd_lowrank, peft.tuners.lora.eva.IncrementalPCA = to_float, lowrank, pca


def config(**more):
    return LoraConfig(r=R, lora_alpha=ALPHA, target_modules=TARGETS, **more)


def theirs(model, ids, start):
    """The same of PEFT's."""
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    pass_on = lambda: base(input_ids=ids)
    if start.startswith("corda"):
        c = config(init_lora_weights="corda", corda_config=CordaConfig(corda_method=start[-3:]))
        preprocess_corda(base, c, run_model=pass_on)
        tuned = get_peft_model(base, c)
    elif start == "lora_ga":
        c = config(init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig(direction="ArB2r"))
        torch.manual_seed(0)
        preprocess_loraga(base, c, lambda: base(input_ids=ids, labels=ids).loss.backward())
        tuned = get_peft_model(base, c)
    else:
        tuned = get_peft_model(base, config(init_lora_weights="eva", eva_config=EvaConfig(rho=1.0, tau=0.9999)))
        initialize_lora_eva_weights(tuned, [dict(input_ids=ids, attention_mask=torch.ones_like(ids))], show_progress_bar=False)
    found = {}
    for name, module in tuned.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            found[name.removeprefix("base_model.model.")] = (module.lora_A["default"].weight.data, module.lora_B["default"].weight.data)
    return found


def apart(a, b):
    """The largest sine between vectors [n, k] of the same number, whatever their signs and lengths."""
    cos = torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0).abs().clamp(max=1)
    return (1 - cos**2).sqrt().max().item()


def product(a, b):
    return ALPHA / R * b.double() @ a.double()


def check(start, mine, peft):
    if mine.keys() != peft.keys():
        print(f"{start}: other modules: {sorted(mine.keys() ^ peft.keys())}")
        return False
    worst = 0
    for name, (a, b) in mine.items():
        pa, pb = peft[name]
        if start.startswith("corda"):
            worst = max(worst, ((product(a, b) - product(pa, pb)).norm() / product(pa, pb).norm()).item())
        elif start == "eva":
            worst = max(worst, apart(a.T, pa.T), b.abs().max().item())
        else:
            worst = max(worst, apart(a.T, pa.T), apart(b, pb))
    return is_close(start, f"{len(mine)} modules, at most {worst:.1e} apart", worst, 1e-3)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lora-ft", default=str(HERE / "build" / "lora-ft"))
    p.add_argument("--model", help="a causal language model's folder")
    p.add_argument("--text", default=str(HERE / "docs" / "method.md"))
    p.add_argument("--tokens", type=int, default=400)
    p.add_argument("--as-it-is", action="store_true")
    a = p.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(a.model or HERE / "data" / "verse-lm")
    words, ids = pathlib.Path(a.text).read_text().split(), []
    while len(ids) < a.tokens:
        words, text = words[3:], " ".join(words[:3]) if not ids else text + " " + " ".join(words[:3])
        ids = tokenizer(text).input_ids
    ids = torch.tensor([ids + [tokenizer.eos_token_id]])  # what is trained on ends so
    with tempfile.TemporaryDirectory() as folder:
        model, data = a.model or random_model(os.path.join(folder, "model")), os.path.join(folder, "one.jsonl")
        pathlib.Path(data).write_text(json.dumps(dict(text=text)) + "\n")
        good = []
        for start in ("corda_ipm", "corda_kpm", "eva", "lora_ga"):
            mine = ours(a.lora_ft, model, data, folder, start)
            with contextlib.nullcontext() if a.as_it_is else exactly():
                seen = ids[:, :-1] if start == "corda_kpm" else ids  # what is not trained on has no end of text
                good.append(check(start, mine, theirs(model, seen, start)))
    finish(all(good) or a.as_it_is)


if __name__ == "__main__":
    main()
