#!/usr/bin/env python3
"""Where rules by the spectrum would put the block: init_position {"energy": E} of each weight of the study's bases, as a fraction.

    study-rules.py [NAME=MODEL]...       writes docs/study/rules.csv: a row for each weight and share of energy
                                         (usual: vision=data/fashion-vit-192 language=data/verse-lm text=runs/study/minilm)

    LORA_FT=build/lora-ft"""
import collections
import csv
import pathlib
import subprocess
import sys
import tempfile

from study_common import HERE, TABLES, program, write_rows

USUAL = ["vision=data/fashion-vit-192", "language=data/verse-lm", "text=runs/study/minilm"]
SHARES = [0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
R = 8


def spectra(model):
    values = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program(), "spectrum", "--model", model, "--r", str(R), "--output_dir", folder], cwd=HERE, check=True,
                       stdout=subprocess.DEVNULL)
        with open(pathlib.Path(folder) / "singular-values.csv", newline="") as file:
            for row in csv.DictReader(file):
                values[row["module"]].append(float(row["sigma"]))
    return values


def position(sigma, share):
    """Of the block around the first component at which the share of the sum of squares is reached, as docs/method.md has it."""
    whole, so_far = sum(s * s for s in sigma), 0.0
    for i, s in enumerate(sigma):
        so_far += s * s
        if so_far >= share * whole:
            break
    most = len(sigma) - R
    return min(max(i - R // 2, 0), most) / most


def main():
    out, rows = TABLES / "rules.csv", []
    for word in sys.argv[1:] or USUAL:
        name, _, model = word.partition("=")
        if not model:
            sys.exit(__doc__)
        for module, sigma in spectra(model).items():
            rows += [{"base": name, "module": module, "energy": share, "position": f"{position(sigma, share):.4f}"} for share in SHARES]
    write_rows(out, rows)


if __name__ == "__main__":
    main()
