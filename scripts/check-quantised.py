#!/usr/bin/env python3
"""How closely runs on a quantised base follow those on the base as it is: both quickstarts, at full length, several seeds.

usage: check-quantised.py [--program build/lora-ft] [--precision bf16] [--formats int8] [--seeds 42 43 44] [--threads 2]
                          [--output runs/quantised] [--tasks vision language]

Runs that are done already are read, not repeated. Needs the data of the quickstarts (scripts/make-letters.sh,
scripts/make-texts.sh). Prints the tables of docs/performance.md and the largest differences; exit code 1 where int8 differs by
more than 0.5 points of accuracy, 1 % of perplexity, 0.5 points or 0.01 nats of forgetting.
"""
import argparse
import json
import os
import subprocess
import sys

TASKS = {"vision": "configs/quickstart.json", "language": "configs/quickstart-lm.json"}
# name in all_results.json, heading, what to multiply by, digits, the limit of a difference, and whether it is a share
FIGURES = {
    "vision": [("eval_accuracy", "val", 100, 2, 0.5, False), ("test_accuracy", "test", 100, 2, 0.5, False),
               ("forgetting", "forgetting", 100, 2, 0.5, False)],
    "language": [("eval_perplexity", "perplexity, val", 1, 3, 0.01, True), ("test_perplexity", "test", 1, 3, 0.01, True),
                 ("forgetting", "forgetting, nats", 1, 4, 0.01, False)],
}


def results(a, task, seed, frozen):
    folder = os.path.join(a.output, f"{task}-{seed}-{frozen}")
    path = os.path.join(folder, "all_results.json")
    if not os.path.exists(path):
        command = [a.program, "train", "--config", TASKS[task], "--precision", a.precision, "--seed", str(seed), "--threads",
                   str(a.threads), "--output_dir", folder, "--quiet"]
        command += [] if frozen == a.precision else ["--frozen_precision", frozen]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"check-quantised: {' '.join(command)} failed")
    with open(path) as f:
        return json.load(f)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--program", default="build/lora-ft")
    p.add_argument("--precision", default="bf16")
    p.add_argument("--formats", nargs="+", default=["int8"])
    p.add_argument("--seeds", nargs="+", type=int, default=[42, 43, 44])
    p.add_argument("--tasks", nargs="+", default=list(TASKS))
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--output", default="runs/quantised")
    a = p.parse_args()
    too_far = False
    for task in a.tasks:
        figures, most = FIGURES[task], {}
        print(f"\n| seed | frozen weights | {' | '.join(f[1] for f in figures)} | quantised base | KL |")
        print("|---" * (len(figures) + 4) + "|")
        for seed in a.seeds:
            exact = results(a, task, seed, a.precision)
            for frozen in [a.precision, *a.formats]:
                r = results(a, task, seed, frozen)
                shown = [f"{r[name] * by:.{digits}f}" for name, _, by, digits, _, _ in figures]
                quantised = [f"{r[key]:.5f}" if key in r else "-" for key in ("quantised_base", "quantised_kl")]
                print(f"| {seed} | {frozen} | {' | '.join(shown)} | {' | '.join(quantised)} |", flush=True)
                for name, heading, by, _, limit, share in figures:
                    apart = abs(r[name] - exact[name]) * by / (exact[name] if share else 1)
                    most[frozen, heading] = max(most.get((frozen, heading), 0), apart)
                    too_far |= frozen == "int8" and apart > limit
        for (frozen, heading), apart in most.items():
            if frozen != a.precision:
                print(f"{task}: {frozen} differs from {a.precision} in {heading} by at most {apart:.4f}")
    sys.exit(1 if too_far else 0)


if __name__ == "__main__":
    main()
