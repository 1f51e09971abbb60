"""A file that a comment or a document names is there, and a header's guard is made of its path. A name may leave out the
folders in front; "*" and "<any>" stand for any name. Argument: the source tree."""
import os
import re
import sys

SOURCES = ("c", "h", "def", "py", "sh")
NAME = re.compile(r"[\w./<>*-]*[\w>*]\.(?:inc\.c|" + "|".join(SOURCES) + r")\b(?!\.\w)")
OTHERS = {"dnnl.h", "stdio.h", "stb/stb_image.h",  # of libraries
          "x.c", "y.c"}  # of an example
COMMENT = {
    (".c", ".h", ".def"): re.compile(r"/\*.*?\*/", re.S),
    (".py",): re.compile(r'"""(?:.*?)"""|(?<![\w"\'])# [^\n]*', re.S),
    (".sh", ".cmake", ".txt"): re.compile(r"(?<!\S)# [^\n]*"),
    (".md",): re.compile(r".+", re.S),
}


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def all_files(root):
    yield from (name for name in sorted(os.listdir(root)) if os.path.isfile(os.path.join(root, name)))
    for top in ["src", "include", "tests", "docs", "scripts", "configs", "data"]:
        for where, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                yield os.path.relpath(os.path.join(where, name), root)


def is_there(name, files):
    pattern = re.sub(r"<\w+>|\*", "\0", name.removeprefix("../"))
    pattern = re.escape(pattern).replace("\0", "[^/]+")
    return re.search(f"^(?:.*/)?{pattern}$", files, re.M)


def check_names(root, paths):
    files = "\n".join(paths)
    seen = 0
    for path in paths:
        pattern = next((p for endings, p in COMMENT.items() if path.endswith(endings)), None)
        if not pattern:
            continue
        text = read(root, path)
        for comment in pattern.finditer(text):
            for match in NAME.finditer(comment.group()):
                seen += 1
                if match.group() in OTHERS or is_there(match.group(), files):
                    continue
                line = text.count("\n", 0, comment.start() + match.start()) + 1
                yield f"{path}:{line}: names {match.group()}, and there is no such file"
    if seen < 100:
        yield f"found only {seen} names of files; is NAME right?"


def check_guards(root, paths):
    for path in paths:
        if not path.startswith("src/") or not path.endswith(".h"):
            continue
        guard = "LF_" + re.sub(r"\W", "_", path.removeprefix("src/")).upper()
        found = re.search(r"^#ifndef (\w+)\n#define (\w+)$", read(root, path), re.M)
        if not found or set(found.groups()) != {guard}:
            yield f"{path}: its guard is {found.group(1) if found else 'missing'}; expected {guard}"


def main(root):
    paths = list(all_files(root))
    faults = [fault for check in (check_names, check_guards) for fault in check(root, paths)]
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
