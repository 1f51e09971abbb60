#!/usr/bin/env python3
"""tests/golden/losses.json: torch's CrossEntropyLoss with weights of classes and label smoothing, and its gradient.

usage: make-golden-losses.py [OUT]    (needs torch)
"""
import json
import sys

import torch

ROWS, CLASSES = 6, 4


def case(weights, smoothing):
    torch.manual_seed(5)
    logits = (2 * torch.randn(ROWS, CLASSES, dtype=torch.float64)).float().double().requires_grad_()
    labels = torch.tensor([2, 0, -100, 3, 0, 1])
    weight = torch.tensor(weights, dtype=torch.float64) if weights else None
    loss = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing, ignore_index=-100)(logits, labels)
    loss.backward()
    return dict(weights=weights, smoothing=smoothing, labels=labels.tolist(), logits=logits.flatten().tolist(),
                loss=loss.item(), gradient=logits.grad.flatten().tolist())


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/losses.json"
    cases = [case(w, s) for w in (None, [1, 1, 1, 1], [0.5, 2, 1, 4]) for s in (0, 0.1)]
    with open(out, "w") as f:
        json.dump(dict(rows=ROWS, classes=CLASSES, cases=cases), f, indent=0)
        f.write("\n")


main()
