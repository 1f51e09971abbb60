#!/usr/bin/env python3
"""Compares our renderer of chat templates with transformers, template by template.

    cmake --build build --target jinja-render
    scripts/check-chat-templates.py FOLDER_OR_FILE... [--program build/tests/jinja-render]

Each file *.jinja, and each tokenizer_config.json's chat_template, below what is given is rendered for every conversation
of scripts/make-golden-jinja.py, by both. A template is equal (the same text, or an error from both), refused (we name
what we lack) or DIFFERENT. Exit 1 if any is different. Needs transformers and jinja2."""
import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def matrix():
    spec = importlib.util.spec_from_file_location("matrix", HERE / "make-golden-jinja.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def templates(paths):
    """(name, source) of every template below the paths."""
    for top in map(pathlib.Path, paths):
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.suffix == ".jinja":
                yield str(path), path.read_text(encoding="utf-8")
            elif path.name == "tokenizer_config.json":
                found = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
                for one in found if isinstance(found, list) else [{"name": "default", "template": found}] if found else []:
                    yield f"{path} ({one['name']})", one["template"]


def compare(program, source, golden):
    """("equal" | "refused" | "different", what there is to say)"""
    cases = [{**golden.VARIABLES, "tools": None, **c, "messages": golden.normal(c["messages"]), "add_generation_prompt": g}
             for c in golden.conversations() for g in (False, True)]
    jobs = "".join(json.dumps({"template": source, "variables": c, "now": golden.NOW}) + "\n" for c in cases)
    ours = subprocess.run([program], input=jobs, capture_output=True, text=True, check=True).stdout.split("\n")
    refused = {}
    for case, line in zip(cases, ours):
        got, expected = json.loads(line), golden.render(source, case)
        if got.get("status") == "unsupported":
            refused[got["message"]] = None
        elif got.get("text") != expected:
            return "different", f"{case['messages']}\n  transformers: {expected!r}\n  we:           {got}"
    return ("refused", "; ".join(refused)) if refused else ("equal", f"{len(cases)} texts")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--program", default=HERE.parent / "build/tests/jinja-render")
    options = parser.parse_args()
    golden = matrix()
    golden.chat.datetime = golden.Now
    counts = {"equal": 0, "refused": 0, "different": 0}
    for name, source in templates(options.paths):
        verdict, what = compare(options.program, source, golden)
        counts[verdict] += 1
        print(f"{verdict if verdict != 'different' else 'DIFFERENT'}: {name}: {what}", flush=True)
    print(", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
