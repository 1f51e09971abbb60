#!/usr/bin/env python3
"""A run's event file against its metrics.jsonl, by TensorBoard's own loader.

usage: check-tensorboard.py RUN    (a folder made with --report_to tensorboard; needs the package tensorboard)
"""
import json
import math
import os
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main():
    run = sys.argv[1]
    events = EventAccumulator(os.path.join(run, "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    with open(os.path.join(run, "metrics.jsonl")) as f:
        rows = [json.loads(line) for line in f]
    wanted = {}
    for row in rows:
        for name, value in row.items():
            if name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool):
                group = next((g for g in ("eval", "test", "base") if name.startswith(g + "_")), None)
                tag = f"{group}/{name[len(group) + 1:]}" if group else f"train/{name}"
                wanted.setdefault(tag, []).append((row["step"], value))
    if sorted(wanted) != sorted(events.Tags()["scalars"]):
        sys.exit(f"tags differ: {sorted(wanted)} and {sorted(events.Tags()['scalars'])}")
    for tag, points in wanted.items():
        found = [(s.step, s.value) for s in events.Scalars(tag)]
        if len(found) != len(points):
            sys.exit(f"{tag}: {len(points)} rows, {len(found)} events")
        for (step, value), (at, scalar) in zip(points, found):
            if step != at or not math.isclose(value, scalar, rel_tol=1e-6, abs_tol=1e-30):
                sys.exit(f"{tag}: step {step} {value}, found step {at} {scalar}")
    print(f"{len(wanted)} scalars, {sum(map(len, wanted.values()))} values: all good")


main()
