#!/usr/bin/env python3
"""Checks by transformers and PEFT what lora-ft wrote. Needs torch, transformers, peft; the tests do not run it.

usage: check-with-peft.py LORA_FT MODEL ADAPTER DATA
  LORA_FT  the program        MODEL    a base model's folder
  ADAPTER  a trained adapter  DATA     an image folder (class per subfolder) to compare logits on (all of it)

1. The adapter loads in PEFT without a word about missing or unexpected keys, and gives lora-ft's logits.
2. The same with the head of another size than the base's.
3. The model that `lora-ft merge` writes loads in transformers, and gives the same logits.
Differences are max |a - b| over max |b|; the limit is 1e-4. Pictures are prepared by transformers' PIL processor.
"""
import json, os, subprocess, sys, tempfile
import numpy, torch
from PIL import Image
from peft import PeftModel
from peft_common import finish, is_close, said_by
from safetensors.torch import load_file
import transformers
from transformers.utils import logging as hf_logging
try:
    from transformers import ViTImageProcessorPil as Processor
except ImportError:
    from transformers import ViTImageProcessor as Processor


def pictures(data):
    for folder in sorted(os.listdir(data)):
        for name in sorted(os.listdir(os.path.join(data, folder))):
            yield os.path.join(data, folder, name)


CLASSES = {"vit": "ViT", "deit": "DeiT", "dinov2": "Dinov2", "dinov2_with_registers": "Dinov2WithRegisters", "beit": "Beit", "clip": "CLIP",
           "siglip": "Siglip"}


def class_of(path):
    """The class of transformers that has this model with a classifier."""
    return getattr(transformers, CLASSES[json.load(open(os.path.join(path, "config.json")))["model_type"]] + "ForImageClassification")


def logits_by_transformers(model, data, channels):
    source = sys.argv[2] if os.path.exists(os.path.join(sys.argv[2], "preprocessor_config.json")) else None
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    size = getattr(base.config, "vision_config", base.config).image_size
    size = list(size) if isinstance(size, (list, tuple)) else [size, size]
    processor = Processor.from_pretrained(source) if source else Processor(size=dict(height=size[0], width=size[1]))
    rows = []
    with torch.no_grad():
        for path in pictures(data):
            image = Image.open(path).convert("RGB" if channels == 3 else "L")
            if channels == 1:
                array = numpy.asarray(image)[:, :, None]
                pixels = processor(array, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
            else:
                pixels = processor(image, return_tensors="pt")["pixel_values"]
            other = list(pixels.shape[-2:]) != size and not type(base).__name__.startswith("Dinov2")
            rows.append(model(pixel_values=pixels, **(dict(interpolate_pos_encoding=True) if other else {})).logits)
    return torch.cat(rows)


def logits_by_us(*arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "logits.safetensors")
        subprocess.run([sys.argv[1], "eval", *arguments, "--head", "auto", "--save-logits", path], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return load_file(path)["logits"]


def compare(what, a, b):
    difference = (a - b).abs().max().item() / b.abs().max().item()
    return is_close(what, f"{tuple(b.shape)} logits, difference {difference:.2e}", difference)


def main():
    program, path, adapter, data = sys.argv[1:5]
    hf_logging.set_verbosity_warning()
    config = json.load(open(os.path.join(path, "config.json")))
    head = load_file(os.path.join(adapter, "adapter_model.safetensors"))["base_model.model.classifier.weight"]
    options = dict(num_labels=head.shape[0], ignore_mismatched_sizes=True, dtype=torch.float32)
    base = class_of(path).from_pretrained(path, **options)
    model, said = said_by(lambda: PeftModel.from_pretrained(base, adapter).eval())
    print("PEFT said:", repr(said.strip()))
    ok = not any(word in said.lower() for word in ("missing", "unexpected", "not initialized"))
    channels = config.get("vision_config", config).get("num_channels", 3)
    ours = logits_by_us("--model", path, "--adapter", adapter, "--data", data)
    ok &= compare("adapter in PEFT", logits_by_transformers(model, data, channels), ours)
    with tempfile.TemporaryDirectory() as folder:
        merged = os.path.join(folder, "merged")
        subprocess.run([program, "merge", "--model", path, "--adapter", adapter, "-o", merged], check=True, stdout=subprocess.DEVNULL)
        again, said = said_by(lambda: class_of(merged).from_pretrained(merged, dtype=torch.float32).eval())
        print("transformers said:", repr(said.strip()[:300]))
        ok &= not any(word in said.lower() for word in ("missing", "unexpected", "newly initialized", "mismatch"))
        ok &= compare("merged in transformers", logits_by_transformers(again, data, channels), ours)
    finish(ok)


main()
