#!/usr/bin/env python3
"""Makes tests/golden/zero-clip and zero-siglip: whole tiny random models of pictures and texts as transformers writes them
(CLIPModel, SiglipModel), and what they say of pictures beside texts.

usage: make-golden-zero-shot.py [OUTDIR=tests/golden]; needs torch and transformers. Each folder: config.json, model.safetensors,
class_embeddings.safetensors (as scripts/class-embeddings.py writes it, of random tokens), and golden.safetensors:
  pixels [B,3,H,W]; logits [B,classes]: logits_per_image
"""
import os, sys
from importlib import import_module

import torch, transformers
from golden_common import start_folder, stir
from safetensors.torch import save_file

write = import_module("class-embeddings").write
TOWER = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=4)
TEXT = dict(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, vocab_size=64, max_position_embeddings=8)
CASES = {"zero-clip": ("CLIP", dict(vision_config=TOWER, text_config=TEXT | dict(eos_token_id=63), projection_dim=20)),
         "zero-siglip": ("Siglip", dict(vision_config=TOWER, text_config=TEXT | dict(projection_size=32)))}


def make(name, kind, config, outdir):
    path = start_folder(outdir, name)
    config = getattr(transformers, kind + "Config")(**config)
    for c in (config, config.vision_config, config.text_config):
        c.initializer_range, c.initializer_factor = 0.3, 2.0
    model = getattr(transformers, kind + "Model")(config).eval()
    stir(model, 0.1)
    with torch.no_grad():
        model.logit_scale.fill_(2.5)
        if kind == "Siglip":
            model.logit_bias.fill_(-3.0)
    model.save_pretrained(path)
    pixels, ids = torch.randn(6, 3, 16, 16), torch.randint(1, 62, (5, 8))
    ids[:, -1] = 63
    with torch.no_grad():
        out = model(input_ids=ids, pixel_values=pixels)
        texts = model.get_text_features(input_ids=ids)
    write(os.path.join(path, "class_embeddings.safetensors"), getattr(texts, "pooler_output", texts),
          ["ant", "bee", "cat", "dog", "eel"])
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    save_file({"pixels": pixels, "logits": out.logits_per_image.contiguous()}, os.path.join(path, "golden.safetensors"), metadata=versions)
    print(name, out.logits_per_image[0].tolist(), out.logits_per_image.std(0).tolist())


if __name__ == "__main__":
    for name, (kind, config) in CASES.items():
        make(name, kind, config, sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
