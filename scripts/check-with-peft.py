#!/usr/bin/env python3
"""Checks by transformers and PEFT what lora-ft wrote of pictures. Needs torch, transformers, peft; the tests do not run it.

usage: check-with-peft.py LORA_FT [MODEL ADAPTER DATA]
  LORA_FT  the program        MODEL    a base model's folder
  ADAPTER  a trained adapter  DATA     an image folder (class per subfolder) to compare logits on (all of it)
Without a model: small random ones of every kind in MODELS, each tuned by the program for another number of classes.

1. By the lines in the adapter's README.md it loads in PEFT without a word about missing or unexpected keys, and gives lora-ft's logits.
2. The model that `lora-ft merge` writes loads in transformers without such a word, and gives the same logits.
3. The adapter that `lora-ft rewind` writes at a size loads in PEFT and gives the logits of `lora-ft eval --adapter_scale` of that size.
Differences are max |a - b| over max |b|; the limit is 1e-4, of the third 1e-5. Pictures are prepared by transformers' PIL processor.
"""
import json, os, shutil, subprocess, sys, tempfile
import numpy, torch
from PIL import Image
from peft_common import by_the_lines_beside, compare_logits, finish, quiet, run, said_by
from safetensors.torch import load_file, save_file
import transformers
from transformers import (BeitConfig, BeitForImageClassification, CLIPConfig, CLIPForImageClassification, CLIPModel, CLIPVisionModel,
                          DeiTConfig, DeiTForImageClassification, Dinov2Config, Dinov2ForImageClassification, Dinov2Model,
                          Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification, SiglipConfig,
                          SiglipForImageClassification, SiglipVisionModel, ViTConfig, ViTForImageClassification)
from transformers.utils import logging as hf_logging
try:
    from transformers import ViTImageProcessorPil as Processor
except ImportError:
    from transformers import ViTImageProcessor as Processor

SIDE, LABELS = 28, 4
SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
SEEN = dict(image_size=SIDE, patch_size=7, initializer_range=0.2, **SMALL)
WIDE = dict(intermediate_size=48, **SEEN)
BOTH = dict(vision_config=WIDE, text_config=dict(vocab_size=50, intermediate_size=48, bos_token_id=1, eos_token_id=2, **SMALL))


def tower(config, **sizes):
    return config(**sizes).vision_config


MODELS = {
    "vit": (ViTForImageClassification, ViTConfig(**WIDE)),
    "deit": (DeiTForImageClassification, DeiTConfig(**WIDE)),
    "dinov2": (Dinov2ForImageClassification, Dinov2Config(mlp_ratio=2, **SEEN)),
    "dinov2 without a head": (Dinov2Model, Dinov2Config(mlp_ratio=2, **SEEN)),
    "dinov2 with registers": (Dinov2WithRegistersForImageClassification, Dinov2WithRegistersConfig(mlp_ratio=2, **SEEN)),
    "beit": (BeitForImageClassification, BeitConfig(use_relative_position_bias=True, **WIDE)),
    "clip": (CLIPForImageClassification, CLIPConfig(**BOTH)),
    "clip with its texts": (CLIPModel, CLIPConfig(**BOTH)),
    "clip's tower": (CLIPVisionModel, tower(CLIPConfig, **BOTH)),
    "clip's tower, as transformers 4 named it": (CLIPVisionModel, tower(CLIPConfig, **BOTH)),
    "siglip": (SiglipForImageClassification, SiglipConfig(**BOTH)),
    "siglip's tower": (SiglipVisionModel, tower(SiglipConfig, **BOTH)),
    "siglip's tower, as transformers 4 named it": (SiglipVisionModel, tower(SiglipConfig, **BOTH)),
}


def pictures(data):
    for folder in sorted(os.listdir(data)):
        for name in sorted(os.listdir(os.path.join(data, folder))):
            yield os.path.join(data, folder, name)


def classifier(path):
    """The file of one, by the class that it says is its own."""
    kind = getattr(transformers, json.load(open(os.path.join(path, "config.json")))["architectures"][0])
    return kind.from_pretrained(path, dtype=torch.float32, output_loading_info=True)


def logits_by_transformers(model, source, data):
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = getattr(base.config, "vision_config", base.config)
    size = list(config.image_size) if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
    said = os.path.exists(os.path.join(source, "preprocessor_config.json"))
    processor = Processor.from_pretrained(source) if said else Processor(size=dict(height=size[0], width=size[1]))
    rows = []
    with torch.no_grad():
        for path in pictures(data):
            image = Image.open(path).convert("RGB" if config.num_channels == 3 else "L")
            if config.num_channels == 1:
                array = numpy.asarray(image)[:, :, None]
                pixels = processor(array, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
            else:
                pixels = processor(image, return_tensors="pt")["pixel_values"]
            other = list(pixels.shape[-2:]) != size and not type(base).__name__.startswith("Dinov2")
            rows.append(model.eval()(pixel_values=pixels, **(dict(interpolate_pos_encoding=True) if other else {})).logits)
    return torch.cat(rows)


def logits_by_us(program, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "logits.safetensors")
        run(program, "eval", *arguments, "--head", "auto", "--save-logits", path)
        return load_file(path)["logits"]


def check(program, path, adapter, data):
    model, said = by_the_lines_beside(adapter, path)
    ours = logits_by_us(program, "--model", path, "--adapter", adapter, "--data", data)
    ok = quiet(said) & compare_logits("  adapter in PEFT", logits_by_transformers(model, path, data), ours)
    with tempfile.TemporaryDirectory() as folder:
        merged = os.path.join(folder, "merged")
        run(program, "merge", "--model", path, "--adapter", adapter, "-o", merged)
        (again, info), said = said_by(lambda: classifier(merged))
        bad = {kind: keys for kind, keys in info.items() if keys}
        if bad:
            print("  merged: transformers says", bad)
        ok &= quiet(said) and not bad
        ok &= compare_logits("  merged in transformers", logits_by_transformers(again, path, data), ours)
    return ok & check_rewound(program, path, adapter, data)


def as_of_the_base(path, data, base, turn):
    """Pictures again by the names of the base's labels: rewind wants data of its task, whatever they are worth."""
    with open(os.path.join(path, "config.json")) as f:
        labels = list(json.load(f)["id2label"].values())
    for i, label in enumerate(labels):
        own = sorted(os.listdir(data))[(i + turn) % len(labels)]
        shutil.copytree(os.path.join(data, own), os.path.join(base, label))


def check_rewound(program, path, adapter, data, size="0.35"):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "rewound")
        for turn in range(3):  # of one of these a head of random weights gets some right
            base = os.path.join(folder, f"base {turn}")
            as_of_the_base(path, data, base, turn)
            done = subprocess.run([program, "rewind", "--model", path, "--adapter", adapter, "--data", data, "--forgetting_data", base,
                                   "--lambdas", size, "--lambda", size, "--output_dir", out], capture_output=True, text=True)
            if done.returncode == 0:
                break
        else:
            sys.exit(done.stderr)
        model, said = by_the_lines_beside(os.path.join(out, "adapter"), path)
        ours = logits_by_us(program, "--model", path, "--adapter", adapter, "--adapter_scale", size, "--data", data)
        return quiet(said) & compare_logits(f"  rewound to {size}, in PEFT", logits_by_transformers(model, path, data), ours, 1e-5)


# ---- small random models ----

def make_pictures(data):
    """Each class has a colour of its own, under noise."""
    colours = numpy.random.default_rng(1).integers(0, 256, (LABELS, 3))
    random = numpy.random.default_rng(2)
    for label in range(LABELS):
        folder = os.path.join(data, f"class {label}")
        os.makedirs(folder)
        for i in range(8):
            noise = random.integers(-60, 60, (SIDE, SIDE, 3))
            Image.fromarray((colours[label] + noise).clip(0, 255).astype(numpy.uint8)).save(os.path.join(folder, f"{i}.png"))


def make_model(name, path):
    loader, config = MODELS[name]
    config.num_labels = 3
    torch.manual_seed(3)
    model = loader(config)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:  # biases and norms that matter
                p.add_(0.1 * torch.randn_like(p))
    model.save_pretrained(path)
    if name.endswith("as transformers 4 named it"):
        file = os.path.join(path, "model.safetensors")
        save_file({"vision_model." + key: t for key, t in load_file(file).items()}, file, metadata={"format": "pt"})


def check_small(program, name, data):
    with tempfile.TemporaryDirectory() as folder:
        model, out = os.path.join(folder, "model"), os.path.join(folder, "run")
        make_model(name, model)
        run(program, "train", "--model", model, "--train_data", data, "--max_steps", "8", "--learning_rate", "1e-2", "--r", "4",
            "--per_device_train_batch_size", "8", "--precision", "fp32", "--threads", "1", "--output_dir", out)
        print(name)
        return check(program, model, os.path.join(out, "adapter"), data)


def main():
    hf_logging.set_verbosity_warning()
    hf_logging.disable_progress_bar()
    hf_logging.disable_default_handler()  # said_by has one of its own
    if len(sys.argv) > 2:
        finish(check(*sys.argv[1:5]))
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(folder)
        ok = True
        for name in MODELS:
            ok &= check_small(sys.argv[1], name, folder)
    finish(ok)


main()
