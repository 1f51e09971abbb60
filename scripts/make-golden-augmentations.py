#!/usr/bin/env python3
"""tests/golden/augmentations.json: what torchvision makes of a small picture by each operation of RandAugment, how strong those
are, what ColorJitter's functions make of it, and how MixUp and CutMix mix a batch.

usage: make-golden-augmentations.py [OUT]    (needs torch, torchvision and Pillow)
"""
import json
import sys

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, functional, v2
from torchvision.transforms.autoaugment import RandAugment, _apply_op

W, H = 21, 16


def picture(mode):
    """A slope of colours with a dark and a bright spot, and noise, over part of the levels."""
    torch.manual_seed(4)
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    planes = [40 + 6 * x + 2 * y, 190 - 5 * x + y, 60 + 3 * y + 4 * (x % 5)]
    pixels = torch.stack(planes, 2) + torch.randint(0, 20, (H, W, 3))
    pixels[3:6, 4:9] = 12
    pixels[10:13, 12:17, 1:] = 244
    image = Image.fromarray(pixels.clamp(0, 255).to(torch.uint8).numpy())
    return image if mode == "RGB" else image.convert("L")


def hexed(image):
    return image.tobytes().hex()


def operations(mode):
    space = RandAugment()._augmentation_space(31, (H, W))
    rows = []
    for name, (strengths, signed) in space.items():
        for magnitude in (9, 30) if strengths.ndim else (0,):
            by = float(strengths[magnitude]) if strengths.ndim else 0.0
            for sign in (1, -1) if signed else (1,):
                made = _apply_op(picture(mode), name, sign * by, InterpolationMode.NEAREST, None)
                rows.append(dict(name=name, strength=sign * by, pixels=hexed(made)))
    return rows


def strengths():
    return [dict(width=w, height=h, operations={
        name: dict(strengths=[float(s) for s in v] if v.ndim else [0.0] * 31, signed=signed)
        for name, (v, signed) in RandAugment()._augmentation_space(31, (h, w)).items()}) for w, h in ((W, H), (224, 196))]


def jitter(mode):
    adjust = dict(brightness=functional.adjust_brightness, contrast=functional.adjust_contrast,
                  saturation=functional.adjust_saturation)
    return [dict(name=name, factor=factor, pixels=hexed(f(picture(mode), factor)))
            for name, f in adjust.items() for factor in (0.0, 0.37, 0.99, 1.0, 1.4, 2.5)]


def mixing():
    torch.manual_seed(6)
    batch, labels = torch.randn(3, 2, 5, 7), torch.tensor([2, 0, 1])
    rows = []
    for share in (0.3, 0.85):
        mixed = v2.MixUp(num_classes=4).transform(batch, dict(labels=labels, batch_size=3, lam=share))
        rows.append(dict(kind="mixup", share=share, pixels=mixed.flatten().tolist()))
    for share, x, y in ((0.5, 3, 2), (0.2, 6, 0), (0.9, 0, 4), (0.05, 2, 2)):
        cut = v2.CutMix(num_classes=4)
        cut._dist.sample = lambda *_: torch.tensor([share])
        draws = iter((x, y))
        before, torch.randint = torch.randint, lambda *_, **__: torch.tensor([next(draws)])
        params = dict(cut.make_params([batch]), labels=labels, batch_size=3)
        torch.randint = before
        rows.append(dict(kind="cutmix", share=share, x=x, y=y, box=[int(v) for v in params["box"]],
                         own=float(params["lam_adjusted"]), pixels=cut.transform(batch, params).flatten().tolist()))
    return dict(batch=batch.flatten().tolist(), shape=list(batch.shape), rows=rows)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/augmentations.json"
    pictures = [dict(mode=m, channels=len(m) if m == "RGB" else 1, pixels=hexed(picture(m)), operations=operations(m),
                     jitter=jitter(m)) for m in ("RGB", "L")]
    with open(out, "w") as f:
        json.dump(dict(width=W, height=H, pictures=pictures, strengths=strengths(), mixing=mixing()), f)
        f.write("\n")


main()
