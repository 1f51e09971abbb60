#!/usr/bin/env python3
"""Which lines of the parsers the fuzz targets' seeds reach, by target and by the table tests/fuzz/parsers.txt.

  scripts/fuzz-coverage.py [--build DIR] [--corpus DIR] [--missed] [TARGET...]

Builds the library and the targets for it with clang in DIR (build-coverage), gives each target its seeds (and, with
--corpus, what a folder of that has for it, as a fuzzer's build keeps it), and prints a line a target: lines that can be
reached by an input, and how many were. Left out are lines that only a failing allocation, read or write reaches: they
belong to scripts/torture.sh, which is how they are told from others (LEFT_OUT); and the functions that the table
names with a reason, which are printed with it. --missed lists what was not reached. The exit code is 1 where less than
90 % of a target's lines were."""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LEAST = 90
# A statement that says so, or does what follows from it.
LEFT_OUT = re.compile(r"lf_no_memory|no_memory|LF_ENOMEM|lf_fail_errno|lf_fail_to|LF_EIO\b|no_room|LF_EINTERRUPTED|out of memory|Z_MEM_ERROR"
                      r"|_full\(|\bfull\(|->failed\b|\.failed\b")


def sources_of(patterns):
    """What the patterns mean; one that means nothing has lost its file."""
    paths = set()
    for pattern in patterns:
        found = {os.path.realpath(p) for p in glob.glob(os.path.join(ROOT, "src", pattern.lstrip("-")))}
        if not found:
            sys.exit(f"tests/fuzz/parsers.txt: no source is src/{pattern.lstrip('-')}")
        paths = paths - found if pattern[0] == "-" else paths | found
    return sorted(paths)


def table():
    """[(target, sources)], {(source, function): why no input leads there}"""
    targets, without = [], {}
    with open(os.path.join(ROOT, "tests/fuzz/parsers.txt"), encoding="utf-8") as file:
        for line in file:
            name, *rest = line.split() or ["#"]
            if name == "without":
                without[os.path.realpath(os.path.join(ROOT, "src", rest[0])), rest[1]] = " ".join(rest[2:])
            elif name[0] != "#":
                targets.append((name, sources_of(rest)))
    return targets, without


def lines_of(path, function):
    """The lines of a function's definition, as clang-format sets it."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for first, line in enumerate(lines):
        if re.match(rf"\w[^;=]*\b{function}\(", line):
            head = next(i for i in range(first, len(lines)) if re.search(r"[{;}]$", lines[i]))
            if lines[head][-1] != ";":
                return range(first + 1, (head if lines[head][-1] == "}" else lines.index("}", head)) + 2)
    sys.exit(f"tests/fuzz/parsers.txt: {os.path.relpath(path, ROOT)} has no function {function}")


def build(folder, targets):
    flags = "-fprofile-instr-generate -fcoverage-mapping -Wno-pass-failed"
    quiet = dict(check=True, stdout=sys.stderr, cwd=ROOT)
    subprocess.run(["cmake", "-S", ".", "-B", folder, "-G", "Ninja", "-DCMAKE_C_COMPILER=clang", "-DCMAKE_BUILD_TYPE=Debug",
                    "-DCMAKE_C_FLAGS=" + flags, *(["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else [])], **quiet)
    subprocess.run(["ninja", "-C", folder, "-j2", *targets], **quiet)


def run(program, folders, work):
    profiles = []
    for i, folder in enumerate(folders):
        profiles.append(os.path.join(work, f"{i}.profraw"))
        subprocess.run([program, folder], check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, LLVM_PROFILE_FILE=profiles[-1]))
    merged = os.path.join(work, "all.profdata")
    subprocess.run(["llvm-profdata", "merge", "-o", merged, *profiles], check=True)
    return merged


def counts(program, profile, sources):
    """{path: {line: times}}"""
    text = subprocess.run(["llvm-cov", "export", "-format=lcov", "-instr-profile", profile, program, *sources], check=True, capture_output=True, text=True).stdout
    found, path = {}, None
    for line in text.splitlines():
        if line.startswith("SF:"):
            path = os.path.realpath(line[3:])
        elif line.startswith("DA:"):
            number, times = line[3:].split(",")[:2]
            found.setdefault(path, {})[int(number)] = int(times)
    return found


def statement(lines, number):
    """The line with those before it that it goes on from."""
    first = number - 1
    while first > 0 and not re.search(r"[;{}:]\s*(/\*.*)?$", lines[first - 1]):
        first -= 1
    return " ".join(lines[first:number])


def left_out(lines, number):
    """Also an ending of the kind `lf_free(x); return rc;` right behind one."""
    return bool(LEFT_OUT.search(lines[number - 1]) or LEFT_OUT.search(statement(lines, number)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build-coverage")
    parser.add_argument("--corpus")
    parser.add_argument("--missed", action="store_true")
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args()
    targets, without = table()
    wanted = [(name, sources) for name, sources in targets if not args.targets or name in args.targets]
    build(args.build, [name for name, _ in wanted])
    bad = False
    for name, sources in wanted:
        program = os.path.join(ROOT, args.build, "tests/fuzz", name)
        with tempfile.TemporaryDirectory() as work:
            folders = [os.path.join(work, "seeds")]
            os.mkdir(folders[0])
            subprocess.run([sys.executable, os.path.join(ROOT, "tests/fuzz/seeds.py"), name, folders[0]], check=True)
            if args.corpus and os.path.isdir(os.path.join(args.corpus, name)) and os.listdir(os.path.join(args.corpus, name)):
                folders.append(os.path.join(args.corpus, name))
            found = counts(program, run(program, folders, work), sources)
        reached = could = 0
        missed = []
        for path in sources:
            with open(path, encoding="utf-8") as file:
                lines = file.read().split("\n")
            for function in [f for p, f in without if p == path]:
                for number in lines_of(path, function):
                    found.get(path, {}).pop(number, None)
            for number, times in sorted(found.get(path, {}).items()):
                if times == 0 and left_out(lines, number):
                    continue
                could += 1
                reached += times > 0
                if times == 0:
                    missed.append(f"    {os.path.relpath(path, ROOT)}:{number}: {lines[number - 1].strip()}")
        share = 100 * reached / could if could else 0
        bad = bad or share < LEAST
        print(f"{name}: {reached} of {could} lines, {share:.1f} %", flush=True)
        for path, function in sorted(without):
            if path in sources:
                print(f"    without {function} ({os.path.relpath(path, ROOT)}): {without[path, function]}")
        if args.missed:
            print("\n".join(missed))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
