#!/usr/bin/env python3
"""Fills the tables of docs/study.md from the runs in docs/study/*.csv, so that every figure there has a row behind it.

    study-tables.py [--check] [PAGE]        --check: says which table differs from what the rows give, and ends with 1

A table stands between a line '<!-- table: VIEW PART... key=value... -->' and a line '<!-- end -->'. Views:

    best      each start at the rate (and batch) that is best on the evaluation data, with its neighbours in rank
    spread    a row for each value of `by` (init_position; or several, init_lora_weights+init_position, whose values are joined by
              @), at where=KEY:VALUE of the other keys: means over seeds with 95 % t intervals (of two seeds both values), and the
              difference in `cost` from the row `to`, seed by seed, Holm-adjusted

Needs nothing but Python. The statistics are written a second time on purpose: lora-ft's own have to agree with them."""
import argparse
import collections
import csv
import math
import pathlib
import re
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
FIGURES = {  # column: heading, factor, decimals
    "eval_accuracy": ("validation, %", 100, 2),
    "test_accuracy": ("new task, %", 100, 2),
    "forgetting": ("forgetting", 100, 2),
    "base_kl": ("KL from the base", 1, 4),
    "update_ratio": ("size of the update", 1, 4),
    "eval_loss": ("validation, nats", 1, 4),
    "test_loss": ("new task, nats", 1, 4),
}


# ---- Student's t ----

def beta_fraction(a, b, x):
    """The continued fraction of the incomplete beta function (Lentz)."""
    tiny, c, d = 1e-300, 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    h = d
    for m in range(1, 300):
        for k in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / (1 + k * d or tiny)
            c = 1 + k / c or tiny
            h *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return h


def t_p(t, freedom):
    """Of |T| >= |t|, two-sided."""
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) if 0 < x < 1 else 0
    if x >= 1:
        return 1.0
    return front * beta_fraction(a, b, x) / a if x < (a + 1) / (a + b + 2) else 1 - front * beta_fraction(b, a, 1 - x) / b


def t_quantile(freedom, p=0.05):
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_p(middle, freedom) > p else (low, middle)
    return high


def interval(values):
    """Mean and half of its 95 % t interval; NaN for fewer than three."""
    mean = statistics.fmean(values)
    if len(values) < 3:
        return mean, math.nan
    return mean, t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


def holm(ps):
    adjusted, worst = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = worst
    return adjusted


# ---- rows ----

def rows_of(parts):
    """Of the runs that came to their end, whatever it is worth: one that is at chance counts like any."""
    rows = []
    for part in parts:
        with open(HERE / "docs" / "study" / f"{part}.csv", newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["state"] in ("done", "collapsed")]
    return rows


def number(row, column):
    return float(row[column]) if row.get(column) else math.nan


def start_of(row, by):
    keys = by.split("+")
    return "@".join(row[key] for key in keys if row.get(key))


def shown(mean, half, factor, decimals):
    if math.isnan(mean):
        return ""
    text = f"{factor * mean:.{decimals}f}"
    return text if math.isnan(half) else f"{text} ± {factor * half:.{decimals}f}"


def cell(values, factor, decimals):
    """Mean and interval; of two values, which have none, both; of one, it."""
    if len(values) != 2 or any(map(math.isnan, values)):
        return shown(*interval(values), factor, decimals)
    return " to ".join(f"{factor * value:.{decimals}f}" for value in sorted(values))


def table(heads, lines):
    out = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


# ---- views ----

def view_best(rows, options):
    """What tuning found: every start's settings, the best first."""
    by, metric, most = options.get("by", "init_lora_weights"), options.get("metric", "eval_accuracy"), int(options.get("most", 3))
    settings = options.get("settings", "learning_rate").split("+")
    higher = "accuracy" in metric
    groups = collections.defaultdict(list)
    for row in rows:
        groups[start_of(row, by)].append(row)
    lines = []
    for start, found in groups.items():
        found.sort(key=lambda row: (not higher) * number(row, metric) - higher * number(row, metric))
        for rank, row in enumerate(found[:most]):
            lines.append([f"`{start}`" if rank == 0 else ""] + [row[key] for key in settings] +
                         [shown(number(row, figure), math.nan, *FIGURES[figure][1:]) for figure in (metric, "forgetting", "base_kl")])
    heads = ["start"] + settings + [FIGURES[figure][0] for figure in (metric, "forgetting", "base_kl")]
    return table(heads, lines)


def view_spread(rows, options):
    by, cost, to = options.get("by", "init_position"), options.get("cost", "forgetting"), options.get("to")
    gain = options.get("gain", "test_accuracy")
    for condition in filter(None, options.get("where", "").split(",")):
        key, value = condition.split(":")
        rows = [row for row in rows if row[key] == value]
    groups = collections.defaultdict(dict)
    for row in rows:
        groups[start_of(row, by)][row["seed"]] = row
    if to not in groups:
        raise SystemExit(f"study-tables: no row is '{to}', with which the others are compared")
    starts, differences = list(groups), {}
    for start in starts:
        seeds = sorted(groups[start].keys() & groups[to].keys())
        differences[start] = [number(groups[start][seed], cost) - number(groups[to][seed], cost) for seed in seeds]
    others = [start for start in starts if start != to]

    def p_of(values):
        if len(values) < 3 or statistics.stdev(values) == 0:
            return 1.0
        return t_p(statistics.fmean(values) / (statistics.stdev(values) / math.sqrt(len(values))), len(values) - 1)

    adjusted = dict(zip(others, holm([p_of(differences[start]) for start in others])))
    lines = []
    for start in starts:
        line = [f"`{start}`", str(len(groups[start]))]
        for figure in (gain, cost, "base_kl", "update_ratio"):
            line.append(cell([number(row, figure) for row in groups[start].values()], *FIGURES[figure][1:]))
        if start == to:
            line += ["", ""]
        else:
            line += [cell(differences[start], *FIGURES[cost][1:]), f"{adjusted[start]:.3f}" if len(differences[start]) > 2 else ""]
        lines.append(line)
    heads = ["start", "seeds"] + [FIGURES[figure][0] for figure in (gain, cost, "base_kl", "update_ratio")]
    return table(heads + [f"{FIGURES[cost][0]} above `{to}`", "p, adjusted"], lines)


VIEWS = {"best": view_best, "spread": view_spread}
MARK = re.compile(r"<!-- table: (.*?) -->\n(.*?)<!-- end -->", re.DOTALL)


def filled(match):
    view, *words = match.group(1).split()
    options = dict(word.split("=", 1) for word in words if "=" in word)
    parts = [word for word in words if "=" not in word]
    return f"<!-- table: {match.group(1)} -->\n" + "\n".join(VIEWS[view](rows_of(parts), options)) + "\n<!-- end -->"


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true")
    args.add_argument("page", nargs="?", type=pathlib.Path, default=HERE / "docs" / "study.md")
    args = args.parse_args()
    text = args.page.read_text()
    new = MARK.sub(filled, text)
    if args.check:
        for old, made in zip(MARK.finditer(text), MARK.finditer(new)):
            if old.group(0) != made.group(0):
                print(f"{args.page}: the table '{old.group(1)}' is not what its rows give; run scripts/study-tables.py")
        sys.exit(text != new)
    args.page.write_text(new)


if __name__ == "__main__":
    main()
