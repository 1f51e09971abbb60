"""What the logs of fuzz targets say (run.sh), as rows of a table: executions, edges, and how many executions and minutes
ago the last new edge was. Argument: the build folder."""
import os
import re
import sys

LINE = re.compile(r"(\d+) #(\d+)\s+(\w+)\s+cov: (\d+)")


def figures(path):
    begin = last = now = edges = found = runs = 0
    with open(path, errors="replace") as file:
        for line in file:
            m = LINE.match(line)
            if not m:
                continue
            now, runs, cov = int(m[1]), int(m[2]), int(m[4])
            begin = begin or now
            if cov > edges:
                edges, found, last = cov, runs, now
    return runs, edges, runs - found, (now - last) // 60, (now - begin) // 60


def main(build):
    print("| target | executions | edges | executions since the last new edge | minutes since | minutes |\n|---|---|---|---|---|---|")
    for name in sorted(os.listdir(build)):
        if name.startswith("fuzz_") and name.endswith(".log"):
            print(f"| `{name[:-4]}` | " + " | ".join(f"{x:,}" for x in figures(os.path.join(build, name))) + " |")


if __name__ == "__main__":
    main(sys.argv[1])
