"""No name of a table is compared outside of the table's own folder: who needs to know something of an entry asks for it in
the entry's line. Argument: the source tree. What is still compared stands in EXCEPTIONS, each with its reason."""
import os
import re
import sys

# File below src: names and why. A name that is no longer compared there is said, to be taken out.
SAME_WORD = "the same word for another thing"
EXCEPTIONS = {
    "adapter/peft_open.c": (["head"], SAME_WORD + ": the module that holds a saved head"),
    "examples/letters/font.c": (["head"], SAME_WORD + ": a table of a font file"),
    "sweep/grid.c": (["linear"], SAME_WORD + ": how a list of values is spaced"),
    "task/task_language.c": (["head"], SAME_WORD + ": a value of the key `method`"),
    "train/loop.c": (["steps"], SAME_WORD + ": a unit of intervals"),
}

# Arrays of names of one table, of LIST or more: files that hold one, and why.
LIST = 4
LISTS = {}

# Table, its file, the folders that may know its names, and how a name stands in the file. The names of keys are public:
# they stand in every message and file; what is looked for is code that decides by them.
LINE = r"^LF_[A-Z_]+\(\s*([a-z0-9_]+)"
TABLES = [
    ("op", "src/graph/ops/ops.def", ["graph"], LINE),
    ("activation", "src/kernels/activations.def", ["kernels", "graph"], r"^LF_ACTIVATION\([A-Z_]+, ([a-z_]+)"),
    ("family", "src/model/families.def", ["model"], LINE),
    ("task", "src/task/tasks.def", ["task"], LINE),
    ("start", "src/adapter/init.def", ["adapter"], LINE),
    ("layout", "src/data/text/layouts.def", ["data"], LINE),
    ("text format", "src/data/text/formats.def", ["data"], LINE),
    ("picture format", "src/data/image/formats.def", ["data"], LINE),
    ("verb", "include/lora_ft.h", ["config", "cli"], r"^    X\(([a-z_]+), [A-Z]+,"),
] + [("key", f"src/{folder}/keys.def", ["config", folder], LINE)
     for folder in ("model", "data", "adapter", "train", "continual", "sweep", "eval", "tools")]
ARRAY = re.compile(r"\]\s*=\s*\{(.*?)\};", re.S)
COMPARES = re.compile(r"\b(?:strn?cmp|strncasecmp|strcasecmp|lf_slice_equal|is_one_of|is_among)\s*\(([^;{}]*?)\)\s*(?:[=!]=|[;)&|?])")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def sources(root):
    for where, _, files in sorted(os.walk(os.path.join(root, "src"))):
        for file in sorted(files):
            if file.endswith((".c", ".h")):
                path = os.path.join(where, file)
                yield os.path.relpath(path, os.path.join(root, "src")), path


def comparisons(text):
    """Each string constant within the arguments of a comparison, with its line."""
    for call in COMPARES.finditer(text):
        arguments = re.sub(r"\w+\([^()]*\)", "", call.group(1) + ")")  # without what reads a key by its name
        for name in re.findall(r'"([a-z0-9_]+)"', arguments):
            yield text.count("\n", 0, call.start()) + 1, name


def lists(text, path, owners):
    """(line, table, names) of each array that names LIST or more entries of one table that is not this folder's."""
    for array in ARRAY.finditer(text):
        tables = {}
        for name in set(re.findall(r'"([a-z0-9_]+)"', array.group(1))):
            for table, folders in owners.get(name, []):
                if path.split("/")[0] not in folders:
                    tables.setdefault(table, []).append(name)
        for table, names in tables.items():
            if len(names) >= LIST:
                yield text.count("\n", 0, array.start()) + 1, table, sorted(names)


def owners_of_names(root):
    owners = {}
    for table, file, folders, line in TABLES:
        names = re.findall(line, read(os.path.join(root, file)), re.M)
        if not names:
            sys.exit(f"{file}: holds no name of a {table}; has the table another form now?")
        for name in names:
            owners.setdefault(name, []).append((table, folders))
    return owners


def unneeded(needed):
    for path, (names, _) in sorted(EXCEPTIONS.items()):
        for name in names:
            if (path, name) not in needed:
                yield f"tests/gates/names.py: \"{name}\" is no longer compared in src/{path}; take the exception out"
    for path in sorted(LISTS):
        if (path, None) not in needed:
            yield f"tests/gates/names.py: src/{path} holds no list of names any more; take the exception out"


def main(root):
    owners = owners_of_names(root)
    needed, faults = set(), []
    for path, full in sources(root):
        text = read(full)
        for line, name in comparisons(text):
            if name not in owners or any(path.split("/")[0] in folders for _, folders in owners[name]):
                continue
            needed.add((path, name))
            if name not in EXCEPTIONS.get(path, ([],))[0]:
                faults.append(f"src/{path}:{line}: compares with \"{name}\", the name of a {owners[name][0][0]}; ask for "
                              "what its line in the table says")
        for line, table, names in lists(text, path, owners):
            needed.add((path, None))
            if path not in LISTS:
                faults.append(f"src/{path}:{line}: lists names of the table of {table}s ({', '.join(names)}); let their "
                              "lines say what they have in common")
    faults += unneeded(needed)
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
