#!/usr/bin/env python3
"""Rewinds the adapters of one part of the study: each run's adapter at sizes from 0.2 to 1 on the test examples.

    study-dial.py PART START [sizes=X,Y,...] [KEY=VALUE]...     writes docs/study/PART-START-dial.csv: a row for each seed and size

START is a value of init_lora_weights (kaiming: the rival that every other start has to beat at the same accuracy), or of
init_lora_weights and init_position with a '@' between them (intermediate@0.5); KEY=VALUE are what else its runs have
(learning_rate=0.003). What was rewound before is not again.

    LORA_FT=build/lora-ft"""
import csv
import json
import subprocess
import sys

from study_common import HERE, TABLES, program, write_rows

STUDY = HERE / "runs" / "study"
SIZES = [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
KEPT = {"eval_accuracy": "test_accuracy", "eval_loss": "test_loss", "forgetting": "forgetting", "base_kl": "base_kl",
        "update_ratio": "update_ratio"}  # rewind's name, the study's: it is of the test examples
# what judges a run, by the names that rewind has for it
KEYS = ["precision", "forgetting_data", "max_forgetting_samples", "per_device_eval_batch_size", "max_seq_length", "data_seed"]


def part_rows(part, start, conditions):
    name, _, position = start.partition("@")
    with open(TABLES / f"{part}.csv", newline="") as file:
        for row in csv.DictReader(file):
            same = row["init_lora_weights"] == name and (not position or float(row["init_position"]) == float(position))
            same = same and all(float(row[key]) == float(value) for key, value in conditions)
            if same and row["state"] in ("done", "collapsed"):
                yield row


def rewound(run, folder, sizes):
    """The rows of rewind.csv for one run's adapter."""
    table = folder / "rewind.csv"
    if not table.exists():
        settings = json.loads((run / "config.json").read_text())
        config = {key: settings[key] for key in KEYS if settings.get(key) not in (None, "")}
        config |= {"model": settings["model"], "adapter": str(run / "adapter"), "data": settings["test_data"], "lambdas": sizes,
                   "output_dir": str(folder), "overwrite_output_dir": True}
        folder.mkdir(parents=True, exist_ok=True)
        file = folder.parent / f"{folder.name}.json"
        file.write_text(json.dumps(config, indent=2))
        subprocess.run([program(), "rewind", "--config", str(file)], cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    with open(table, newline="") as file:
        return [row for row in csv.DictReader(file) if row["rows"] == "points"]


def main():
    if len(sys.argv) < 3 or not all("=" in word for word in sys.argv[3:]):
        sys.exit(__doc__)
    part, start = sys.argv[1:3]
    options = dict(word.split("=", 1) for word in sys.argv[3:])
    sizes = [float(size) for size in options.pop("sizes").split(",")] if "sizes" in options else SIZES
    conditions = list(options.items())
    name, rows = f"{part}-{start.replace('@', '-')}", []
    for row in part_rows(part, start, conditions):
        run = STUDY / part / row["name"]
        for point in rewound(run, STUDY / "dial" / f"{name}-{row['seed']}", sizes):
            kept = {ours: point[key] for key, ours in KEPT.items() if key in point}
            of_run = {key: row.get(key, "") for key in ("init_lora_weights", "init_position", "learning_rate", "seed")}
            rows.append({**of_run, "lambda": point["lambda"], **kept, "processor": row["processor"], "kernels": row["kernels"]})
    if not rows:
        sys.exit(f"study-dial: {part}.csv has no run of '{start}'")
    write_rows(TABLES / f"{name}-dial.csv", rows)


if __name__ == "__main__":
    main()
