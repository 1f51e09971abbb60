#!/usr/bin/env python3
"""Tunes a real encoder for classification of texts, here and with transformers + PEFT, in one configuration, and compares
the accuracy that both reach, over seeds.

    check-minilm-with-peft.py MODEL TRAIN.csv TEST.csv [--lora-ft build/lora-ft] [--seeds 1 2 3] [--classes N] [--steps N]

MODEL is what scripts/minilm-from-pypi.py makes. The CSV files have two columns with a line of names: a text and its class
(banking77, for one); --classes takes the texts of N classes only, --test so many texts of the second file. What differs
between the two are the random numbers: that the same ones give the same losses, check-steps-with-peft.py shows. Needs torch, transformers, peft."""
import argparse
import csv
import json
import pathlib
import random
import subprocess
import tempfile
import warnings

import torch
from peft import LoraConfig, get_peft_model
from peft_common import finish
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
BATCH, LENGTH, RATE, RANK, ALPHA = 16, 64, 3e-3, 8, 16
POINTS = 1.0  # of accuracy in percent, between the means over seeds


def rows_of(path, classes):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))[1:]
    names = sorted({label for _, label in rows})
    random.Random(0).shuffle(names)
    kept = set(names[:classes] if classes else names)
    return [row for row in rows if row[1] in kept]


def ours(args, folder, seed):
    out = folder / f"run{seed}"
    subprocess.run(
        [args.lora_ft, "train", "--model", args.model, "--train_data", folder / "train.csv", "--eval_data", folder / "test.csv",
         "--output_dir", out, "--seed", str(seed), "--max_steps", str(args.steps), "--per_device_train_batch_size", str(BATCH),
         "--learning_rate", str(RATE), "--lr_scheduler_type", "linear", "--warmup_steps", "5", "--weight_decay", "0", "--r", str(RANK),
         "--lora_alpha", str(ALPHA), "--lora_dropout", "0", "--target_modules", "all-linear", "--max_seq_length", str(LENGTH),
         "--max_grad_norm", "1", "--eval_strategy", "no", "--save_strategy", "no"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = json.loads((out / "all_results.json").read_text())
    return 100 * next(v for k, v in results.items() if k in ("eval_accuracy", "final_accuracy"))


def theirs(args, train, test, seed):
    torch.manual_seed(seed)
    names = sorted({label for _, label in train})
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    base = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=len(names))
    model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / 5, (args.steps - step) / max(1, args.steps - 5)))

    def logits_of(rows):
        batch = tokenizer([text for text, _ in rows], truncation=True, max_length=LENGTH, padding=True, return_tensors="pt")
        return model(**batch).logits, torch.tensor([names.index(label) for _, label in rows])

    order, at = random.Random(seed), []
    model.train()
    for _ in range(args.steps):
        if not at:  # the last batch of an epoch is a smaller one, as ours is
            at = order.sample(train, len(train))
        logits, labels = logits_of(at[:BATCH])
        at = at[BATCH:]
        torch.nn.functional.cross_entropy(logits, labels).backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(test), 64):
            logits, labels = logits_of(test[i : i + 64])
            right += (logits.argmax(-1) == labels).sum().item()
    return 100 * right / len(test)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("train")
    p.add_argument("test")
    p.add_argument("--lora-ft", default="build/lora-ft")
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    p.add_argument("--classes", type=int, default=0)
    p.add_argument("--test", dest="n_test", type=int, default=0)
    p.add_argument("--steps", type=int, default=600)
    args = p.parse_args()
    train, test = rows_of(args.train, args.classes), rows_of(args.test, args.classes)
    random.Random(1).shuffle(test)
    test = test[: args.n_test or len(test)]
    all_results = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for part, rows in (("train", train), ("test", test)):
            with open(folder / f"{part}.csv", "w", newline="") as file:
                csv.writer(file).writerows([["text", "category"], *rows])
        print(f"{len(train)} texts to train, {len(test)} to judge, {len({r[1] for r in train})} classes, {args.steps} steps", flush=True)
        for seed in args.seeds:
            all_results.append((ours(args, folder, seed), theirs(args, train, test, seed)))
            print(f"seed {seed}: ours {all_results[-1][0]:.2f} %, PEFT {all_results[-1][1]:.2f} %", flush=True)
    means = [sum(r[i] for r in all_results) / len(all_results) for i in (0, 1)]
    print(f"mean: ours {means[0]:.2f} %, PEFT {means[1]:.2f} %")
    finish(abs(means[0] - means[1]) <= POINTS)


main()
