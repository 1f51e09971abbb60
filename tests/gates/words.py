"""One thing, one name: each lf_ type is defined once; headers do not include each other in a circle; no document is cited
that the repository does not have; no line is longer than 120 characters; "out of memory" is said in one place.
Argument: the source tree."""
import os
import re
import sys

MOST = 120
MADE = {"src/text/unicode.def"}  # by a program
FOREIGN = re.compile("PROTO" "COL|\\bDES" "IGN\\b")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def files(root, folders, endings):
    for folder in folders:
        for where, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(where, name), root)


def types_of(text):
    """Names of the types that a source defines: struct, union or enum with a body, or a typedef of something else."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for name in re.findall(r"\b(?:struct|union|enum)\s+(lf_\w+)\s*\{", text):
        yield name
    for name in re.findall(r"\btypedef\s+(?:struct|union|enum)\s*\{[^}]*\}\s*(lf_\w+)\s*;", text):
        yield name
    for name in re.findall(r"\btypedef\s+(?!struct|union|enum)[^;{}]*?\b(lf_\w+)\s*;", text):
        yield name
    for name in re.findall(r"\btypedef\s[^;{}]*?\(\s*\*?\s*(lf_\w+)\s*\)\s*\(", text):
        yield name


def check_types(root):
    places = {}
    for path in files(root, ["src", "include"], (".c", ".h")):
        for name in types_of(read(os.path.join(root, path))):
            places.setdefault(name, []).append(path)
    if len(places) < 50:
        yield f"found only {len(places)} types; is types_of() right?"
    for name, where in sorted(places.items()):
        if len(where) > 1:
            yield f"{name} is defined in {' and in '.join(where)}"


def check_circles(root):
    """Depth first: a header that is met again on the way down closes a circle."""
    includes = {}
    for path in files(root, ["src", "include"], (".h",)):
        short = path.split("/", 1)[1]
        includes[short] = re.findall(r'#include "([^"]+)"', read(os.path.join(root, path)))
    done = set()

    def walk(header, way):
        if header in way:
            yield " includes ".join(way[way.index(header):] + [header])
        elif header not in done:
            for other in includes.get(header, []):
                yield from walk(other, way + [header])
            done.add(header)

    for header in sorted(includes):
        yield from walk(header, [])


def check_lines(root):
    for path in files(root, ["src", "include", "tests"], (".c", ".h", ".def")):
        if path in MADE:
            continue
        for number, line in enumerate(read(os.path.join(root, path)).split("\n"), 1):
            if len(line) > MOST:
                yield f"{path}:{number}: {len(line)} characters, {MOST} are the most"


def check_citations(root):
    paths = [*files(root, ["src", "include", "tests", "docs", "scripts", "configs"],
                    (".c", ".h", ".def", ".py", ".sh", ".md", ".txt", ".cmake")), "README.md", "CMakeLists.txt"]
    for path in paths:
        for number, line in enumerate(read(os.path.join(root, path)).split("\n"), 1):
            if FOREIGN.search(line):
                yield f"{path}:{number}: cites {FOREIGN.search(line).group()}, which is not in the repository"


def check_sections(root):
    """A comment that cites docs/method.md names a section that it has."""
    sections = set(re.findall(r"^## (.+)$", read(os.path.join(root, "docs/method.md")), re.M))
    for path in files(root, ["src", "include"], (".c", ".h", ".def")):
        text = re.sub(r"\s*\n \* +", " ", read(os.path.join(root, path)))
        for name in re.findall(r'docs/method\.md(?:, "([^"]*)")?', text):
            if name not in sections:
                yield f"{path}: cites docs/method.md, \"{name}\"; its sections: {', '.join(sorted(sections))}"


def check_no_memory(root):
    """lf_no_memory says it for all; the text of the status LF_ENOMEM is in the public header."""
    for path in files(root, ["src"], (".c", ".h", ".def")):
        if path == "src/base/error.c":
            continue
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), read(os.path.join(root, path)), flags=re.S)
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r'"[^"]*out of memory', line):
                yield f"{path}:{number}: says \"out of memory\" by itself; call lf_no_memory"


def main(root):
    checks = check_types, check_circles, check_lines, check_citations, check_sections, check_no_memory
    faults = [fault for check in checks for fault in check(root)]
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
