#!/usr/bin/env python3
"""tests/golden/schedules.json: the factors of transformers' schedules for every step of short runs, and of the one that
watches evaluations what it makes of each.

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

FOUND = [1, .9, .8999, .895, .9, .91, .9, .7, .7, .69999, .7, .71, .7, .7, .6, .6, .6, .6, .6, .6, .6, .6, .61, .6, .6, .6,
         .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5]
PLATEAUS = [{}, {"patience": 2}, {"patience": 0, "factor": 0.5}, {"patience": 1, "factor": 0.3, "cooldown": 2},
            {"patience": 1, "threshold": 0.1}, {"patience": 1, "threshold": 0.01, "threshold_mode": "abs"},
            {"patience": 0, "min_lr": 3e-4}, {"patience": 0, "factor": 0.5, "eps": 4e-4}, {"patience": 1, "mode": "max"},
            {"patience": 1, "mode": "max", "threshold": 0.005, "threshold_mode": "abs"}]


def plateau(kwargs):
    """Metrics of which more is better are the same ones, one after the other from the end."""
    found = FOUND[::-1] if kwargs.get("mode") == "max" else FOUND
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule = get_scheduler("reduce_lr_on_plateau", optimizer, scheduler_specific_kwargs=kwargs)
    rates = []
    for x in found:
        schedule.step(x)
        rates.append(optimizer.param_groups[0]["lr"])
    return dict(kwargs=kwargs, found=found, rates=rates)


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
        json.dump(dict(total=STEPS, learning_rate=PEAK, cases=rows, plateaus=[plateau(k) for k in PLATEAUS]), f, indent=0)
        f.write("\n")


main()
