#!/usr/bin/env python3
"""tests/golden/optimizers.json: the courses of optimisers over a few steps: torch's, transformers' Adafactor as its Trainer
makes it, and timm's Lion.

usage: make-golden-optimizers.py [OUT]    (needs torch, transformers and timm)
"""
import json
import sys

import torch
from timm.optim import Lion
from transformers import Adafactor

STEPS, RATE = 5, 3e-2
SHAPES = {"matrix": (4, 6), "column": (5, 1), "bias": (7,), "patches": (2, 3, 2, 4)}


def adafactor(params, decay):  # as transformers' Trainer: scale_parameter and relative_step off
    return Adafactor(params, lr=RATE, weight_decay=decay, scale_parameter=False, relative_step=False)


CASES = [("adamw", {}, lambda p, d: torch.optim.AdamW(p, lr=RATE, weight_decay=d)),
         ("sgd", {}, lambda p, d: torch.optim.SGD(p, lr=RATE, momentum=0.9, weight_decay=d)),
         ("lion", {}, lambda p, d: Lion(p, lr=RATE, weight_decay=d)),
         ("lion", {"lion_beta1": "0.8", "lion_beta2": "0.95"}, lambda p, d: Lion(p, lr=RATE, betas=(0.8, 0.95), weight_decay=d)),
         ("adafactor", {}, adafactor)]


def numbers(tensors):
    return [round(x, 9) for t in tensors for x in t.detach().double().flatten().tolist()]


def gradients(step):
    """Large ones first, that the update is clipped; zeros, as of a class that no batch has."""
    out = []
    for name, shape in SHAPES.items():
        g = torch.randn(shape, dtype=torch.float64) * (10 if step == 2 else 1)
        if name == "matrix":
            g[1] = 0
        out.append(g.float().double())
    return out


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/optimizers.json"
    torch.manual_seed(3)
    start = [torch.randn(s).double() for s in SHAPES.values()]
    grads = [gradients(step) for step in range(STEPS)]
    rows = []
    for optim, keys, make in CASES:
        for decay in (0, 0.1):
            params = [torch.nn.Parameter(t.clone()) for t in start]
            optimizer = make(params, decay)
            course = []
            for g in grads:
                for p, x in zip(params, g):
                    p.grad = x.clone()
                optimizer.step()
                course.append(numbers(params))
            rows.append(dict(optim=optim, keys=keys, weight_decay=decay, course=course))
    golden = dict(learning_rate=RATE, shapes=list(SHAPES.values()), start=numbers(start),
                  gradients=[numbers(g) for g in grads], cases=rows)
    with open(out, "w") as f:
        json.dump(golden, f)
        f.write("\n")


main()
