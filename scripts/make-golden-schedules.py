#!/usr/bin/env python3
"""tests/golden/schedules.json: the factors of transformers' schedules for every step of short runs.

usage: make-golden-schedules.py [OUT]    (needs torch and transformers)
"""
import json
import sys

import torch
from transformers import get_scheduler

STEPS, PEAK = 20, 2e-3
CASES = [("linear", 0, {}), ("linear", 6, {}), ("linear", 40, {}), ("constant", 4, {}), ("constant_with_warmup", 4, {}),
         ("cosine", 3, {}), ("cosine", 0, {"num_cycles": 1.5}),
         ("cosine_with_min_lr", 4, {"min_lr_rate": 0.1}), ("cosine_with_min_lr", 0, {"min_lr": 5e-4}),
         ("cosine_with_min_lr", 0, {"min_lr": 0, "num_cycles": 0.25}),
         ("cosine_with_restarts", 2, {}), ("cosine_with_restarts", 2, {"num_cycles": 3}),
         ("polynomial", 5, {}), ("polynomial", 0, {"power": 2, "lr_end": 1e-4}),
         ("inverse_sqrt", 0, {}), ("inverse_sqrt", 5, {}), ("inverse_sqrt", 5, {"timescale": 3}),
         ("warmup_stable_decay", 3, {"num_decay_steps": 6}),
         ("warmup_stable_decay", 3, {"num_decay_steps": 6, "decay_type": "linear", "min_lr_ratio": 0.2}),
         ("warmup_stable_decay", 3, {"num_decay_steps": 4, "num_stable_steps": 5, "decay_type": "1-sqrt"})]


def factors(name, warmup, kwargs):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=PEAK)
    if name == "cosine" and kwargs:  # get_scheduler hands them on only where the type has them
        from transformers import get_cosine_schedule_with_warmup
        schedule = get_cosine_schedule_with_warmup(optimizer, warmup, STEPS, **kwargs)
    else:
        schedule = get_scheduler(name, optimizer, warmup, STEPS, scheduler_specific_kwargs=kwargs or None)
    return [schedule.lr_lambdas[0](step) for step in range(STEPS + 1)]


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/schedules.json"
    rows = [dict(name=n, warmup_steps=w, kwargs=k, factors=factors(n, w, k)) for n, w, k in CASES]
    with open(out, "w") as f:
        json.dump(dict(total=STEPS, learning_rate=PEAK, cases=rows), f, indent=0)
        f.write("\n")


main()
