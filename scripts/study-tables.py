#!/usr/bin/env python3
"""Fills the tables of docs/study.md and docs/choosing.md from the runs in docs/study/*.csv, so that every figure there has a row behind it.

    study-tables.py [--check] [PAGE...]        --check: says which table differs from what the rows give, and ends with 1

A table stands between a line '<!-- table: VIEW PART... key=value... -->' and a line '<!-- end -->'. Views:

    best      each start at the rate (and batch) that is best on the evaluation data, with its neighbours in rank
    spread    a row for each value of `by` (init_position; or several, init_lora_weights+init_position, whose values are joined by
              @), at where=KEY:VALUE of the other keys (or of several: VALUE|VALUE): means over seeds with 95 % t intervals (of two seeds both values), and the
              difference in `cost` from the row `to`, seed by seed, Holm-adjusted. With choose=eval_accuracy each start at the one
              of its `settings` whose mean on the evaluation data is best (of equals what costs less)
    differences  a row for each of `figures` and start: means, and the difference from the row `to`, seed by seed, Holm-adjusted over all
              rows of the table
    matched   what each start costs at the same gain as `to`, seed by seed: on the front of all its rows of a seed (rates, sizes of
              the adapter), linearly between neighbours, at the highest gain that both reach or, with at=GAIN, at that gain, which a
              seed may not reach ("4 of 5" seeds); p=no: without p, where seeds that suggested the question are among them
    rates     a row for each start and rate: means, and how many runs diverged or fell to chance
    dial      a row for each size of the adapters of one start (study-dial.py)
    rules     where a share of the energy would put the block: the middle weight of each base, and its range
    settled   processors, kernels, threads, numbers of runs and hours of the parts

A PART is a table's name, or several by a pattern (vision-h1-[345]).

Needs nothing but Python. The statistics are written a second time on purpose: lora-ft's own have to agree with them."""
import argparse
import collections
import csv
import math
import pathlib
import re
import statistics
import sys

from study_common import HERE, TABLES

FIGURES = {  # column: heading, factor, decimals
    "eval_accuracy": ("validation, %", 100, 2),
    "test_accuracy": ("new task, %", 100, 2),
    "forgetting": ("forgetting", 100, 2),
    "base_kl": ("KL from the base", 1, 4),
    "update_ratio": ("size of the update", 1, 4),
    "eval_loss": ("validation, nats", 1, 4),
    "test_loss": ("new task, nats", 1, 4),
    "average_accuracy": ("average of all tasks, %", 100, 2),
    "average_when_learned_accuracy": ("each when learned, %", 100, 2),
    "bwt": ("BWT, points", 100, 2),
    "base_after": ("the base's own task, %", 100, 2),
}


def figures_of(rows):
    """Of a language model what is forgotten is in nats a token, else in points."""
    nats = {"forgetting": ("forgetting, nats", 1, 3)} if rows and "test_perplexity" in rows[0] else {}
    return FIGURES | nats


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
    return [row for row in all_rows(parts) if row.get("state", "done") in ("done", "collapsed")]


def all_rows(parts):
    rows = []
    for part in parts:
        with open(TABLES / f"{part}.csv", newline="") as file:
            rows += list(csv.DictReader(file))
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


def p_shown(p):
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def table(heads, lines):
    out = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def words(key):
    return {"per_device_train_batch_size": "batch", "learning_rate": "rate"}.get(key, key.replace("_", " "))


def compared_with(to, groups):
    if to not in groups:
        raise SystemExit(f"study-tables: no row is '{to}', with which the others are compared")
    return groups[to]


def adjusted_of(to, differences):
    """p of each start's differences from `to`, when all are looked at together."""
    def p_of(values):
        if len(values) < 3 or statistics.stdev(values) == 0:
            return 1.0
        return t_p(statistics.fmean(values) / (statistics.stdev(values) / math.sqrt(len(values))), len(values) - 1)

    others = [start for start in differences if start != to]
    return dict(zip(others, holm([p_of(differences[start]) for start in others])))


def chosen(rows, by, settings, metric, cost):
    """The rows of each start at the one of its settings whose mean figure is best; of equals that which costs less."""
    sign = -1 if "accuracy" in metric else 1
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        groups[start_of(row, by)][tuple(row[key] for key in settings)].append(row)

    def worth(found):
        return sign * statistics.fmean(number(row, metric) for row in found), statistics.fmean(number(row, cost) for row in found)

    return [row for found in groups.values() for row in min(found.values(), key=worth)]


def where(rows, options):
    for condition in filter(None, options.get("where", "").split(",")):
        key, values = condition.split(":")
        rows = [row for row in rows if row[key] in values.split("|")]
    return rows


# ---- views ----

def view_best(rows, options, figures):
    """What tuning found: every start's settings, the best first."""
    by, metric, most = options.get("by", "init_lora_weights"), options.get("metric", "eval_accuracy"), int(options.get("most", 3))
    settings = options.get("settings", "learning_rate").split("+")
    higher = "accuracy" in metric
    groups = collections.defaultdict(list)
    for row in rows:
        groups[start_of(row, by)].append(row)
    measured = [figure for figure in (metric, "forgetting", "base_kl") if any(row.get(figure) for row in rows)]
    lines = []
    for start, found in groups.items():
        found.sort(key=lambda row: (not higher) * number(row, metric) - higher * number(row, metric))
        for rank, row in enumerate(found[:most]):
            lines.append([f"`{start}`" if rank == 0 else ""] + [row[key] for key in settings] +
                         [shown(number(row, figure), math.nan, *figures[figure][1:]) for figure in measured])
    heads = ["start"] + [words(key) for key in settings] + [figures[figure][0] for figure in measured]
    return table(heads, lines)


def view_spread(rows, options, figures):
    by, cost, to = options.get("by", "init_position"), options.get("cost", "forgetting"), options.get("to")
    gain = options.get("gain", "test_accuracy")
    rows = where(rows, options)
    settings = [key for key in options.get("settings", "").split("+") if key]
    if "choose" in options:
        rows = chosen(rows, by, settings, options["choose"], cost)
    groups = collections.defaultdict(dict)
    for row in rows:
        groups[start_of(row, by)][row["seed"]] = row
    starts, differences = list(groups), {}
    for start in starts:
        seeds = sorted(groups[start].keys() & compared_with(to, groups).keys())
        differences[start] = [number(groups[start][seed], cost) - number(groups[to][seed], cost) for seed in seeds]
    adjusted = adjusted_of(to, differences)
    lines = []
    measured = [figure for figure in (gain, cost, "base_kl", "update_ratio") if any(row.get(figure) for row in rows)]
    for start in starts:
        line = [f"`{start}`"] + [next(iter(groups[start].values()))[key] for key in settings] + [str(len(groups[start]))]
        for figure in measured:
            line.append(cell([number(row, figure) for row in groups[start].values()], *figures[figure][1:]))
        if start == to:
            line += ["", ""]
        else:
            line += [cell(differences[start], *figures[cost][1:]), p_shown(adjusted[start]) if len(differences[start]) > 2 else ""]
        lines.append(line)
    heads = ["start"] + [words(key) for key in settings] + ["seeds"]
    heads += [figures[figure][0] for figure in measured]
    return table(heads + [f"{figures[cost][0]} above `{to}`", "p, adjusted"], lines)


def front_of(points):
    """Of (gain, cost): those that no other has beaten in one and equalled in the other, by rising gain."""
    front, least = [], math.inf
    for gain, cost in sorted(set(points), key=lambda point: (-point[0], point[1])):
        if cost < least:
            front.insert(0, (gain, cost))
            least = cost
    return front


def cost_at(points, gain):
    """On the front, linearly between neighbours; below its least gain what that costs; NaN above its most."""
    front = front_of(points)
    above = next((i for i, point in enumerate(front) if point[0] >= gain), None)
    if above is None:
        return math.nan
    if above == 0 or front[above][0] == gain:
        return front[above][1]
    (g0, c0), (g1, c1) = front[above - 1:above + 1]
    return c0 + (c1 - c0) * (gain - g0) / (g1 - g0)


def view_differences(rows, options, figures):
    by, to, shown_ones = options.get("by", "init_lora_weights"), options["to"], options["figures"].split("+")
    rows, with_p = where(rows, options), options.get("p") != "no"
    groups = collections.defaultdict(dict)
    for row in rows:
        groups[start_of(row, by)][row["seed"]] = row
    base, found = compared_with(to, groups), {}
    for figure in shown_ones:
        for start, seeds in groups.items():
            if start != to:
                both = sorted(seeds.keys() & base.keys())
                found[figure, start] = [number(seeds[seed], figure) - number(base[seed], figure) for seed in both]
    adjusted, lines = adjusted_of(to, found), []
    for figure in shown_ones:
        heading, factor, decimals = figures[figure]
        for number_of, (start, seeds) in enumerate(groups.items()):
            own = cell([number(row, figure) for row in seeds.values()], factor, decimals)
            values = found.get((figure, start))
            line = [heading if number_of == 0 else "", f"`{start}`", str(len(seeds)), own]
            line.append(cell(values, factor, decimals) if values else "")
            if with_p:
                line.append(p_shown(adjusted[figure, start]) if values and len(values) > 2 else "")
            lines.append(line)
    return table(["figure", "start", "seeds", "mean", f"above `{to}`"] + ["p, adjusted"] * with_p, lines)


def view_matched(rows, options, figures):
    by, cost, gain, to = (options.get(key, usual) for key, usual in (
        ("by", "init_lora_weights"), ("cost", "forgetting"), ("gain", "test_accuracy"), ("to", "kaiming")))
    sign = 1 if "accuracy" in gain else -1  # of a loss less is more
    curves = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        curves[start_of(row, by)][row["seed"]].append((sign * number(row, gain), number(row, cost)))
    base, found = compared_with(to, curves), {}
    for start, seeds in curves.items():
        both, values = sorted(seeds.keys() & base.keys()), []
        for seed in both:
            at = sign * float(options["at"]) if "at" in options else min(max(seeds[seed])[0], max(base[seed])[0])
            if at < min(base[seed])[0]:
                raise SystemExit(f"study-tables: '{to}' was not taken back to {sign * at:g} with seed {seed}: its least point would be charged")
            own, other = cost_at(seeds[seed], at), cost_at(base[seed], at)
            if not math.isnan(own + other):
                values.append((sign * at, own, other, own - other))
        if start != to:
            found[start] = values, len(both)
    adjusted = adjusted_of(to, {start: [value[3] for value in values] for start, (values, _) in found.items()})
    lines = []
    for start, (values, asked) in found.items():
        points = sorted({len(points) for points in curves[start].values()})
        seeds = str(asked) if len(values) == asked else f"{len(values)} of {asked}"
        line = [f"`{start}`", seeds, " to ".join(str(n) for n in sorted({points[0], points[-1]}))]
        line += [cell([value[0] for value in values], *figures[gain][1:]) if values else ""]
        for part in (1, 2, 3):
            line.append(cell([value[part] for value in values], *figures[cost][1:]) if values else "")
        if options.get("p") != "no":
            line.append(p_shown(adjusted[start]) if len(values) > 2 else "")
        lines.append(line)
    heads = ["start", "seeds", "points a seed", figures[gain][0], f"{figures[cost][0]} there", f"that of `{to}`", f"above `{to}`"]
    return table(heads + ([] if options.get("p") == "no" else ["p, adjusted"]), lines)


def view_rates(rows, options, figures):
    by, key = options.get("by", "init_lora_weights"), options.get("key", "learning_rate")
    shown_ones = options.get("figures", "eval_accuracy+test_accuracy+forgetting+base_kl").split("+")
    groups = collections.defaultdict(list)
    for row in rows:
        groups[start_of(row, by), row[key]].append(row)
    lines = []
    for (start, value), found in groups.items():
        whole = [row for row in found if row["state"] in ("done", "collapsed")]
        counts = [sum(row["state"] == state for row in found) for state in ("diverged", "collapsed")]
        lines.append([f"`{start}`", value, str(len(found))] + [str(count) for count in counts] +
                     [cell([number(row, figure) for row in whole], *figures[figure][1:]) if whole else "" for figure in shown_ones])
    return table(["start", words(key), "runs", "diverged", "at chance"] + [figures[figure][0] for figure in shown_ones], lines)


def view_settled(rows, options, figures):
    groups = collections.defaultdict(list)
    for row in filter(lambda row: "threads" in row, rows):
        groups[row["processor"], row["kernels"], row["precision"], row["threads"]].append(row)
    lines = [[*key, str(len(found)), f"{sum(number(row, 'train_seconds') for row in found) / 3600:.1f}"] for key, found in groups.items()]
    return table(["processor", "kernels", "precision", "threads a run", "runs", "hours of training"], lines)


def view_dial(rows, options, figures):
    groups = collections.defaultdict(list)
    for row in rows:
        groups[float(row["lambda"])].append(row)
    shown_ones = [figure for figure in ("test_accuracy", "forgetting", "base_kl") if any(row.get(figure) for row in rows)]
    lines = [[f"{size:g}", str(len(found))] + [cell([number(row, figure) for row in found], *figures[figure][1:]) for figure in shown_ones]
             for size, found in sorted(groups.items())]
    return table(["λ", "seeds"] + [figures[figure][0] for figure in shown_ones], lines)


def view_rules(rows, options, figures):
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        groups[row["energy"]][row["base"]].append(number(row, "position"))
    bases = list(dict.fromkeys(row["base"] for row in rows))

    def places(values):
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    return table(["share of the energy"] + bases, [[share] + [places(found[base]) for base in bases] for share, found in groups.items()])


VIEWS = {"dial": view_dial, "rules": view_rules, "best": view_best, "spread": view_spread, "differences": view_differences,
         "matched": view_matched, "rates": view_rates, "settled": view_settled}
OF_ALL_ROWS = (view_rates, view_settled)  # those that did not come to their end too
MARK = re.compile(r"<!-- table: (.*?) -->\n(.*?)<!-- end -->", re.DOTALL)


def filled(match):
    name, *rest = match.group(1).split()
    options = dict(word.split("=", 1) for word in rest if "=" in word)
    parts = [path.stem for word in rest if "=" not in word for path in sorted(TABLES.glob(f"{word}.csv"))]
    view = VIEWS[name]
    rows = all_rows(parts) if view in OF_ALL_ROWS else rows_of(parts)
    return f"<!-- table: {match.group(1)} -->\n" + "\n".join(view(rows, options, figures_of(rows))) + "\n<!-- end -->"


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true")
    args.add_argument("pages", nargs="*", type=pathlib.Path, default=[HERE / "docs" / "study.md", HERE / "docs" / "choosing.md"])
    args = args.parse_args()
    wrong = 0
    for page in args.pages:
        text = page.read_text()
        new = MARK.sub(filled, text)
        for old, made in zip(MARK.finditer(text), MARK.finditer(new)):
            if args.check and old.group(0) != made.group(0):
                print(f"{page}: the table '{old.group(1)}' is not what its rows give; run scripts/study-tables.py")
                wrong = 1
        if not args.check:
            page.write_text(new)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
