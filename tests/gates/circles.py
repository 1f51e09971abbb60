"""No circles of files within a folder: where x.c uses what y.c defines, y.c uses nothing of x.c, neither itself nor by way of
others. Read off the symbols of the objects. What a table names does not count: the file that includes a table's .def knows its
entries, and they may use what stands beside the table. Arguments: the source tree, the folder of the library's objects, nm."""
import collections
import os
import re
import subprocess
import sys

# What is known: ({files of one circle}, what is to become of it). A circle must be one of these, or lie within one.
KNOWN = []


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def symbols(objects, nm):
    """{source: (defined, used)} of every object whose source is still there."""
    paths = [os.path.join(where, file) for where, _, files in os.walk(objects) for file in files if file.endswith(".c.o")]
    found = {os.path.relpath(path, objects)[:-2]: (set(), set()) for path in paths}
    lines = subprocess.run([nm, "-A", *paths], capture_output=True, text=True, check=True).stdout.splitlines() if paths else []
    for line in lines:
        path, rest = line.split(":", 1)
        kind, symbol = rest.split()[-2:]
        if kind in "TDBRCU":
            found[os.path.relpath(path, objects)[:-2]][kind == "U"].add(symbol)
    return found


def entries_of(root, source):
    """Matches the symbols of the entries of the tables that a source includes."""
    words = set()
    for name in re.findall(r'#include "([^"]+\.def)"', read(os.path.join(root, "src", source))):
        words.update(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", read(os.path.join(root, "src", name)), flags=re.S)))
    return lambda symbol: symbol in words or any(symbol.endswith("_" + word) for word in words)


def arrows(root, found):
    """{source: {sources of the same folder that it uses}}"""
    home = {symbol: source for source, (defined, _) in found.items() for symbol in defined}
    uses = collections.defaultdict(set)
    for source, (_, used) in found.items():
        is_entry = entries_of(root, source)
        for symbol in used:
            other = home.get(symbol, source)
            if other != source and other.split("/")[0] == source.split("/")[0] and not is_entry(symbol):
                uses[source].add(other)
    return uses


def reached(uses, start):
    seen, todo = set(), [start]
    while todo:
        for other in uses.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def circles(uses):
    """Sets of files that reach each other."""
    far = {source: reached(uses, source) for source in list(uses)}
    left = {source for source in far if source in far[source]}
    while left:
        first = min(left)
        circle = {other for other in far[first] if first in far.get(other, ())}
        left -= circle
        yield circle


def proven(uses):
    """The check can fail: of any arrow that is turned round as well, it sees the circle."""
    for source in sorted(uses):
        for other in sorted(uses[source]):
            turned = {s: set(u) for s, u in uses.items()}
            turned.setdefault(other, set()).add(source)
            return any({source, other} <= circle for circle in circles(turned))
    return False


def main(root, objects, nm):
    found = {s: v for s, v in symbols(objects, nm).items() if os.path.exists(os.path.join(root, "src", s))}
    uses = arrows(root, found)
    if len(found) < 100 or not proven(uses):
        sys.exit(f"{objects}: found {len(found)} objects, and no arrows between them; is the library built there?")
    faults = 0
    for circle in circles(uses):
        if any(circle <= known for known, _ in KNOWN):
            continue
        faults += 1
        print("these files of one folder use each other; move what they share into a file of its own:")
        for source in sorted(circle):
            for other in sorted(uses[source] & circle):
                print(f"  src/{source} uses src/{other}: {', '.join(sorted(found[source][1] & found[other][0]))}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
