#!/bin/sh
# A folder includes only what stands to its right in the drawing of docs/architecture.md, which is read here: a folder of src
# that the drawing does not have is an error too. Argument: the source tree.
python3 - "$1" <<'END' || exit 1
import os, re, sys

root = sys.argv[1]
text = open(os.path.join(root, "docs/architecture.md"), encoding="utf-8").read()
drawing = re.search(r"```\n(cli .*?)```", text, re.S).group(1).splitlines()
allowed = {}


def chain(line, prefix=""):
    """'a -> {b, c} -> d': each may include what stands to its right, and b and c nothing of each other."""
    ranks = [[n.strip() for n in part.strip(" {}").split(",")] for part in line.split("─►")]
    for i, rank in enumerate(ranks):
        right = [prefix + n for later in ranks[i + 1:] for n in later]
        for name in rank:
            allowed.setdefault(prefix + name, set()).update(right)


chain(drawing[0])
chains = [[n.strip() for n in part.split("─►")] for part in re.search(r"beside kernels: (.*?) \(", drawing[1]).group(1).split(",")]
beside = [name for names in chains for name in names]
for folder, right in allowed.items():
    if "graph" not in right and folder not in ("cli", "graph", "kernels", "base"):  # nn includes no library's part
        right.update(beside)
    if "graph" in right and folder not in ("cli", "nn"):
        right.update(beside)
for names in chains:
    for i, name in enumerate(names):
        allowed[name] = {"base", *names[i + 1:]}
allowed["cli"] = set()  # the public header alone
allowed["examples"] = {"base"}
inside = {}
for line in drawing[2:]:
    name, arrows = line.split(":")
    before = dict(allowed)
    allowed = {}
    chain(arrows, name.strip() + "/")
    inside.update(allowed)
    allowed = before

status = 0
for where, _, files in os.walk(os.path.join(root, "src")):
    for file in files:
        if not re.search(r"\.(c|h|def)$", file):
            continue
        path = os.path.relpath(os.path.join(where, file), os.path.join(root, "src"))
        top, room = path.split("/")[0], "/".join(path.split("/")[:2])
        source = open(os.path.join(where, file), encoding="utf-8").read()
        for target in re.findall(r'#include "([a-z_]+/[^"]+)"', source):
            to, to_room = target.split("/")[0], "/".join(target.split("/")[:2])
            if file == "all_keys.def" and target.endswith("/keys.def"):
                continue  # the table of keys is assembled from each folder's lines
            if top not in allowed:
                print(f"src/{top} is not in the drawing of docs/architecture.md")
                status = 1
            elif to != top and to not in allowed[top]:
                print(f"src/{path} includes {target}, which does not stand to its right")
                status = 1
            elif to == top and room != to_room and room in inside and to_room in inside and to_room not in inside[room]:
                print(f"src/{path} includes {target}, which does not stand to its right")
                status = 1
        waits = path == "cli/signals.c"  # one thread, which waits for signals and computes nothing
        if top in allowed and top not in ("kernels", "linalg", "data", "parquet", "examples") and not waits and re.search(
                r"immintrin|omp\.h|#pragma omp|cblas|pthread", source):
            print(f"src/{path}: threads, BLAS and intrinsics belong into kernels, linalg, the loader, the cache of parquet or cli/signals.c")
            status = 1
sys.exit(status)
END
