#!/usr/bin/env python3
"""Makes the file for the key class_embeddings: for each class the embedding of a text about it, by the tower of texts of a
CLIP or SigLIP. The program judges pictures with it as transformers' CLIPModel and SiglipModel do (zero-shot).

Needs torch, transformers and safetensors, and the model with its tokenizer (by a network, or as a folder).
usage: class-embeddings.py MODEL OUT.safetensors NAME... [--prompt "a photo of a {}."]...
       class-embeddings.py MODEL OUT.safetensors --names FILE     a name a line

Several prompts are averaged, each of length one, as CLIP's authors do. SigLIP was trained with "This is a photo of {}." and
with texts padded to its full length, which is done here.
"""
import argparse
import json

import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer


def embed(model, tokenizer, texts):
    """[len(texts), D], each of length one."""
    padding = "max_length" if "siglip" in model.config.model_type else True
    inputs = tokenizer(texts, padding=padding, truncation=True, return_tensors="pt")
    with torch.no_grad():
        out = model.get_text_features(**inputs)
    out = getattr(out, "pooler_output", out)  # transformers 5 wraps it
    return out / out.norm(dim=-1, keepdim=True)


def write(path, embeddings, names):
    save_file({"class_embeddings": embeddings.float().contiguous()}, path, metadata={"classes": json.dumps(names)})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("out")
    p.add_argument("name", nargs="*")
    p.add_argument("--names", help="file with a name a line")
    p.add_argument("--prompt", action="append", help="with {} for the name; may be given several times")
    a = p.parse_args()
    names = a.name + ([line.strip() for line in open(a.names, encoding="utf-8") if line.strip()] if a.names else [])
    if not names or len(set(names)) < len(names):
        p.error("give the names of the classes, each once")
    model, tokenizer = AutoModel.from_pretrained(a.model).eval(), AutoTokenizer.from_pretrained(a.model)
    prompts = a.prompt or ["This is a photo of {}." if "siglip" in model.config.model_type else "a photo of a {}."]
    write(a.out, sum(embed(model, tokenizer, [prompt.format(n) for n in names]) for prompt in prompts), names)
    print(f"{a.out}: {len(names)} classes, {len(prompts)} prompt(s): {prompts[0].format(names[0])}")


if __name__ == "__main__":
    main()
