"""A resolved configuration, read again as a file, is the same: whoever asks whether a key was given asks it of a key whose
default a resolved configuration leaves out ("~" before it in keys.def, or a line of config/implied.def), or of one without a
default. Argument: the source tree. What may be asked all the same stands in EXCEPTIONS, each with its reason."""
import glob
import os
import re
import sys

# (file below src, key): why its default, given, is the same.
EXCEPTIONS = {
    ("adapter/continue.c", "init_lora_weights"): "true, the default, is what is wanted there",
    ("sweep/points.c", "max_train_minutes"): "what is given is set to the default",
}
ASKED = re.compile(r"lf_cfg_is_(?:given|flag)\([^;{}]*?LF_([a-z]\w*)\)")
KEY = re.compile(r"LF_KEY\(\s*(\w+),\s*\w+,\s*(NULL|\"[^\"]*\"|\w+),")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main(root):
    defaults = {}
    for path in glob.glob(os.path.join(root, "src", "*", "keys.def")):
        defaults.update({name: fallback for name, fallback in KEY.findall(read(path))})
    lines = re.sub(r"/\*.*?\*/", "", read(os.path.join(root, "src/config/implied.def")), flags=re.S)
    said = {key for text in re.findall(r"LF_IMPLIED\(((?:\s*\"[^\"]*\")+)", lines) for key in re.findall(r"\w+", text)}
    wrong = [f"src/config/implied.def: there is no key '{key}' with a default"
             for key in sorted(said) if defaults.get(key, "NULL") == "NULL"]
    seen, asked = set(), 0
    for path in sorted(glob.glob(os.path.join(root, "src", "**", "*.c"), recursive=True)):
        file = os.path.relpath(path, os.path.join(root, "src"))
        for key in ASKED.findall(read(path)):
            asked += 1
            fallback = defaults.get(key)
            if fallback is None:
                wrong.append(f"src/{file}: '{key}' is in no keys.def")
            elif (file, key) in EXCEPTIONS:
                seen.add((file, key))
            elif fallback != "NULL" and not fallback.startswith('"~') and key not in said:
                wrong.append(f"src/{file}: asks whether '{key}' was given, whose default stands in every resolved configuration: "
                             "put \"~\" before it, or a line into config/implied.def")
    wrong += [f"tests/gates/implied.py: src/{file} asks no more whether '{key}' was given: take it out"
              for file, key in sorted(set(EXCEPTIONS) - seen)]
    if asked < 20 or len(defaults) < 100:
        wrong.append(f"tests/gates/implied.py: found {asked} questions and {len(defaults)} keys: it does not look any more")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
